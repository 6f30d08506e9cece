"""What trainers promise, and the backbones that they make."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np

from task2sim.conformance import layers
from task2sim.conformance.checks import Breach, CheckList, require
from task2sim.conformance.digests import digest, folder_digest
from task2sim.conformance.specimens import Bench, pictures
from task2sim.conformance.subject import SEED, Subject
from task2sim.errors import StoreError
from task2sim.interfaces import Backbone, Trainer
from task2sim.tasks import Images

CHECKS = CheckList()


def exercise(component: Trainer, bench: Bench, seed: int) -> Any:
    """Train a backbone, make one without training, and look at their features."""
    images = _images()
    trained = component.pretrain(bench.dataset, seed, bench.folder())
    return [trained.features(images), component.untrained(seed, bench.folder()).features(images)]


def _images() -> Images:
    return pictures(7, (24, 24), seed=5)[0]


def _backbone(subject: Subject) -> Backbone:
    def train() -> Backbone:
        backbone: Backbone = subject.build().pretrain(subject.bench.dataset, SEED, subject.bench.folder())
        return backbone

    return subject.remembered("backbone", train)


@CHECKS.add(
    "features",
    "features are a float32 array of shape (images, D) with finite numbers",
    why="evaluators and embedders compute with them in this form",
    mend="average over the picture, convert to float32; for training that diverged raise a ConfigError",
)
def _features(subject: Subject) -> None:
    features = _backbone(subject).features(_images())
    require(isinstance(features, np.ndarray), f"they are a {type(features).__name__}")
    form = f"they are {features.dtype} of shape {features.shape} for 7 images"
    require(features.dtype == np.float32 and features.ndim == 2 and len(features) == 7, form)
    require(np.isfinite(features).all(), "some are not finite")
    require(features.std(axis=0).max() > 0, "they are the same for all images")


@CHECKS.add(
    "features-of-an-image-alone",
    "an image's features do not depend on the images beside it",
    why="a score would depend on how the test images are ordered",
    mend="put batch normalisation into inference mode",
)
def _alone(subject: Subject) -> None:
    backbone = _backbone(subject)
    images = _images()
    together, alone = (
        backbone.features(images),
        np.concatenate([backbone.features(images[k : k + 1]) for k in range(7)]),
    )
    apart = float(np.max(np.abs(together.astype(np.float64) - alone))) if together.shape == alone.shape else np.inf
    require(apart <= 1e-3 * max(1.0, float(np.abs(together).max())), f"alone they differ by up to {apart:.3g}")


@CHECKS.add(
    "any-image-size",
    "images of any size are taken, wide and high ones too",
    why="tasks come in many sizes, the dataset in another",
    mend="resize in features",
)
def _any_size(subject: Subject) -> None:
    widths = set()
    for size in ((24, 24), (9, 30), (65, 33)):
        features = _backbone(subject).features(pictures(2, size, seed=6)[0])
        widths.add(features.shape[1:])
    require(len(widths) == 1, f"their features have the shapes {sorted(widths)}")


@CHECKS.add(
    "load",
    "load opens what pretrain and untrained saved, with the same features",
    why="backbones are scored by other processes, days later",
    mend="save whatever features need, preprocessing too",
)
def _load(subject: Subject) -> None:
    with subject.component() as trainer:
        for backbone in (_backbone(subject), trainer.untrained(SEED, subject.bench.folder())):
            again = trainer.load(backbone.folder)
            same = digest(again.features(_images())) == digest(backbone.features(_images()))
            require(same, "the features of the one that was loaded are others")


@CHECKS.add(
    "folder-can-move",
    "a backbone's folder is the one it was given, and may be moved",
    why="backbones are written beside and renamed into the store, and copied into run folders",
    mend="set folder; write no absolute paths into it",
)
def _moves(subject: Subject) -> None:
    folder = subject.bench.folder()
    with subject.component() as trainer:
        backbone = trainer.pretrain(subject.bench.dataset, SEED, folder)
        require(backbone.folder == folder, f"folder is {backbone.folder}, not the one given")
        before = digest(trainer.load(folder).features(_images()))
        moved = subject.bench.folder() / "moved"
        shutil.move(folder, moved)
        require(digest(trainer.load(moved).features(_images())) == before, "moved, it has other features")


@CHECKS.add(
    "weights-are-safetensors",
    "weights lie in the folder as safetensors, and nothing there is a pickle",
    why="a backbone from somebody else could run any code when it is opened",
    mend="safetensors.torch.save_file(...) in place of torch.save",
)
def _safetensors(subject: Subject) -> None:
    files = [path for path in _backbone(subject).folder.rglob("*") if path.is_file()]
    require(
        any(path.suffix == ".safetensors" for path in files),
        f"it holds {', '.join(p.name for p in files) or 'nothing'}",
    )
    for path in files:
        start = path.read_bytes()[:2]
        pickled = path.suffix in (".pt", ".pth", ".pkl", ".pickle") or (start[:1] == b"\x80" and start[1:] <= b"\x05")
        require(not pickled, f"{path.name} is a pickle")


@CHECKS.add(
    "training-counts",
    "a trained backbone is another one than an untrained one of the same seed",
    why="every comparison of settings would be one of random weights",
    mend="save the weights after the training",
)
def _counts(subject: Subject) -> None:
    with subject.component() as trainer:
        untrained = trainer.untrained(SEED, subject.bench.folder())
    same = digest(untrained.features(_images())) == digest(_backbone(subject).features(_images()))
    require(not same, "their features are the same")


@CHECKS.add(
    "other-seeds-differ",
    "another seed gives other initial weights",
    why="repetitions of a trial would be the same, and look more certain than they are",
    mend="seed the initial weights with what you are given",
)
def _other_seeds(subject: Subject) -> None:
    with subject.component() as trainer:
        first, second = (trainer.untrained(seed, subject.bench.folder()) for seed in (SEED, SEED + 1))
    same = digest(first.features(_images())) == digest(second.features(_images()))
    require(not same, f"seeds {SEED} and {SEED + 1} give the same features")


@CHECKS.add(
    "feature-map",
    "a feature map, if its backbones have one, is a float32 array (images, D, h, w) of finite numbers",
    why="evaluators of masks and boxes lay its cells over the picture",
    mend="return maps of one size, not flattened, as float32; or leave feature_map alone",
)
def _feature_map(subject: Subject) -> None:
    backbone = _backbone(subject)
    if type(backbone).feature_map is Backbone.feature_map:
        return
    images = _images()
    maps = backbone.feature_map(images)
    form = f"it is {maps.dtype} of shape {maps.shape} for 7 images"
    require(maps.dtype == np.float32 and maps.ndim == 4 and len(maps) == 7, form)
    require(np.isfinite(maps).all(), "some of its numbers are not finite")
    require(maps.std(axis=0).max() > 0, "it is the same for all images")
    alone = np.concatenate([backbone.feature_map(images[k : k + 1]) for k in range(7)])
    apart = float(np.max(np.abs(maps.astype(np.float64) - alone))) if maps.shape == alone.shape else np.inf
    require(apart <= 1e-3 * max(1.0, float(np.abs(maps).max())), f"of an image alone it differs by up to {apart:.3g}")


@CHECKS.add(layers.WORDS["name"], layers.WORDS["promise"], why=layers.WORDS["why"], mend=layers.WORDS["mend"])
def _layers(subject: Subject) -> None:
    layers.check_layers(subject, lambda trainer, dataset: trainer.pretrain(dataset, SEED, subject.bench.folder()))


@CHECKS.add(
    "no-backbone",
    "load of a folder without a backbone raises a StoreError",
    why="a wrong path should be told as such",
    mend="look whether your manifest is there: raise StoreError(..., place=str(folder))",
)
def _no_backbone(subject: Subject) -> None:
    with subject.component() as trainer:
        try:
            trainer.load(subject.bench.folder())
        except StoreError:
            return
        except Exception as error:
            raise Breach(f"it raised {type(error).__name__}: {error}") from error
    raise Breach("it opened an empty folder")


@CHECKS.add(
    "leaves-dataset-alone",
    "it writes nothing into the dataset's folder",
    why="a dataset is shared by all trials that need it",
    mend="write to the folder that is given; keep caches elsewhere",
)
def _dataset_alone(subject: Subject) -> None:
    before = folder_digest(subject.bench.dataset.folder)
    with subject.component() as trainer:
        trainer.pretrain(subject.bench.dataset, SEED, subject.bench.folder())
    changed = before.items() ^ folder_digest(subject.bench.dataset.folder).items()
    require(not changed, f"it changed {', '.join(sorted({name for name, _ in changed}))}")
