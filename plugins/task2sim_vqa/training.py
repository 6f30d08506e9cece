"""Training a model that answers questions on pictures, and judging it."""

from __future__ import annotations

import math
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydantic

from task2sim import ConfigError, StoreError, TaskError, report_progress, spawn_generator, spawn_seed
from task2sim_vqa.answerer import Answerer, Manifest, open_answerer, open_regions
from task2sim_vqa.folders import VQAFolder, is_of_type, read_folder
from task2sim_vqa.metric import Evaluation, judge, normalise, people, soft_scores
from task2sim_vqa.swapping import FeaturePool, swap
from task2sim_vqa.vqa_v2 import Split

if TYPE_CHECKING:
    from task2sim_vqa.features import Seen
    from task2sim_vqa.networks import AnswerNetwork


class Config(pydantic.BaseModel):
    """How to train.

    Attributes:
        epochs: How often each question is seen.
        region_epochs: How often each region is seen by the region encoder.
        batch_size: Questions a step.
        learning_rate: The highest rate; a text encoder that was trained before learns at a tenth of it.
        weight_decay: AdamW's.
        width: Of the layers.
        layers: Of the question's self-attention and of the guided attention.
        heads: Of attention; divides the width.
        dropout: Share of units that are dropped.
        least: How often an answer must come in training to be one that the model gives.
        text_encoder: A folder with a text encoder of transformers; None is one from scratch.
        region_encoder: A model whose region encoder is taken as it is; None trains one on regions of the synthetic
            folder, or of the only one.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    epochs: int = pydantic.Field(default=12, ge=1)
    region_epochs: int = pydantic.Field(default=12, ge=1)
    batch_size: int = pydantic.Field(default=32, ge=1)
    learning_rate: float = pydantic.Field(default=1e-3, gt=0)
    weight_decay: float = pydantic.Field(default=0.05, ge=0)
    width: int = pydantic.Field(default=64, ge=8)
    layers: int = pydantic.Field(default=1, ge=1)
    heads: int = pydantic.Field(default=4, ge=1)
    dropout: float = pydantic.Field(default=0.1, ge=0, lt=1)
    least: int = pydantic.Field(default=3, ge=1)
    text_encoder: Path | None = None
    region_encoder: Path | None = None

    @pydantic.model_validator(mode="after")
    def _heads_divide(self) -> Config:
        if self.width % self.heads:
            raise ValueError("heads must divide width")
        return self


def train(
    real: Path,
    out: Path,
    *,
    synthetic: Path | None = None,
    question_type: str = "how many",
    without: str | None = None,
    swap: bool = False,
    config: Config = Config(),  # noqa: B008
    seed: int = 0,
) -> Answerer:
    """Train a model, as SimVQA does (Cascante-Bonilla et al., CVPR 2022).

    Args:
        real: A VQA folder.
        out: Where to save the model; new or empty. After a kill the same call starts anew.
        synthetic: A VQA folder whose questions of one type take the place of those of `real`.
        question_type: That type: how questions begin, or a family's name, such as ``counting`` or ``colour``.
        without: Questions of this type are left out, of both folders.
        swap: Whether features of regions are swapped between the two folders (F-SWAP).
        config: How to train.
        seed: Of everything random; the same seed gives the same bits.

    Raises:
        TaskError: a folder is damaged, or no questions are left.
        ConfigError: arguments don't fit, or training diverged.
        StoreError: `out` is used or can't be written; an encoder's folder holds none.
    """
    if swap and synthetic is None:
        raise ConfigError(
            "features are swapped between two folders", place="--swap", mend="name one with --synthetic"
        )
    with _model_folder(out) as part:
        answerer = _train(real, synthetic, question_type, without, swap, config, seed)
        answerer.save(part)
    return answerer


def _train(
    real: Path,
    synthetic: Path | None,
    question_type: str,
    without: str | None,
    swap: bool,
    config: Config,
    seed: int,
) -> Answerer:
    folders = [read_folder(real), *([] if synthetic is None else [read_folder(synthetic)])]
    splits = _chosen(folders, question_type, without)
    if swap:
        _check_common(folders)
    answers = _answers(splits, config.least)
    from task2sim_training.surroundings import reproducible

    with reproducible(spawn_seed(seed, "vqa train"), threads=1):
        return _fit(folders, splits, answers, swap, config, seed)


def evaluate(model: Path, folder: Path) -> Evaluation:
    """Let a model answer the questions of a folder, and judge it by the metric of VQA.

    Args:
        model: A folder that `train` wrote.
        folder: A VQA folder.

    Raises:
        StoreError: there is no model, or a damaged one.
        TaskError: the folder is damaged.
    """
    answerer = open_answerer(model)
    asked = read_folder(folder)
    return judge(answerer.answer(asked), asked.split)


@contextmanager
def _model_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` that gets its name once the model in it is whole."""
    part = out.absolute().parent / f".{out.name}.unfinished"
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise StoreError("this is not an empty folder", place=str(out), mend="choose a new or empty folder")
        # What a kill left.
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
    except OSError as error:
        raise StoreError(
            f"can't write here: {error.strerror or error}", place=str(out), mend="choose another folder"
        ) from error
    try:
        yield part
        if out.exists():
            out.rmdir()
        part.replace(out)
    except OSError as error:
        raise StoreError(f"can't write the model: {error.strerror or error}", place=str(out)) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _chosen(folders: Sequence[VQAFolder], question_type: str, without: str | None) -> list[Split]:
    """The questions to train on, of each folder."""

    def keeps(wanted: bool | None, question: Mapping[str, Any], note: Mapping[str, Any]) -> bool:
        if without is not None and is_of_type(without, question, note):
            return False
        return wanted is None or is_of_type(question_type, question, note) == wanted

    wanted = [None] if len(folders) == 1 else [False, True]
    splits = []
    for folder, want in zip(folders, wanted, strict=True):
        split = folder.chosen(partial(keeps, want))
        if not len(split):
            what = f"of type {question_type!r}" if want else "of other types" if want is False else "to train on"
            raise TaskError(
                f"no question {what} is left",
                place=str(folder.path / "questions.json"),
                mend="choose another --question-type or --without",
            )
        splits.append(split)
    return splits


def _check_common(folders: Sequence[VQAFolder]) -> None:
    ours, theirs = ({name for some in folder.regions.values() for name in some.classes} for folder in folders)
    if not ours & theirs:
        raise TaskError(
            f"no category is in both folders: {min(ours, default='none')!r} is in the one, "
            f"{min(theirs, default='none')!r} in the other",
            place=str(folders[1].path),
            mend="leave --swap out, or choose folders that share categories",
        )


def _answers(splits: Sequence[Split], least: int) -> tuple[str, ...]:
    """Answers that come often enough, in alphabetical order."""
    counts = Counter(normalise(str(note["multiple_choice_answer"])) for split in splits for note in split.annotations)
    found = tuple(sorted(name for name, count in counts.items() if count >= least))
    if not found:
        raise TaskError(f"no answer comes {least} times", place=splits[0].source, mend="train on more questions")
    return found


def _fit(
    folders: Sequence[VQAFolder],
    splits: Sequence[Split],
    answers: tuple[str, ...],
    swap: bool,
    config: Config,
    seed: int,
) -> Answerer:
    import torch

    from task2sim_vqa.features import crops, learn_regions, see
    from task2sim_vqa.networks import AnswerNetwork
    from task2sim_vqa.text import new_text, tokens, trained_text

    given = None if config.region_encoder is None else open_regions(config.region_encoder)
    trained = None if config.text_encoder is None else trained_text(config.text_encoder)
    cut = [crops(folder) for folder in folders]
    words, encoder = given or learn_regions(folders[-1], cut[-1], config.region_epochs)
    seen = [see(folder, some, encoder) for folder, some in zip(folders, cut, strict=True)]
    del cut
    if trained is not None:
        tokenizer, text = trained
    else:
        texts = [str(entry["question"]) for split in splits for entry in split.questions]
        tokenizer, text = new_text(
            [*texts, *words.names()], config.width, config.layers, config.heads, config.dropout
        )
    network = AnswerNetwork(
        text,
        tokens(tokenizer, words.names(), marks=False),
        words.counts,
        len(answers),
        config.width,
        config.layers,
        config.heads,
        config.dropout,
    )
    loss = _learn(network, tokenizer, splits, seen, answers, swap, config, seed)
    manifest = Manifest(
        answers=answers,
        categories=words.categories,
        colours=words.colours,
        materials=words.materials,
        width=config.width,
        layers=config.layers,
        heads=config.heads,
        questions=(len(splits[0]), len(splits[1]) if len(splits) > 1 else 0),
        epochs=config.epochs,
        swap=swap,
        seed=seed,
        loss=loss,
        torch=torch.__version__,
    )
    return Answerer(manifest, encoder, tokenizer, network.eval())


def _learn(
    network: AnswerNetwork,
    tokenizer: Any,
    splits: Sequence[Split],
    seen: Sequence[Mapping[int, Seen]],
    answers: tuple[str, ...],
    swaps: bool,
    config: Config,
    seed: int,
) -> float:
    """Train the answering network; the mean loss of the last epoch."""
    import torch
    from torch.nn import functional

    from task2sim_training.loop import rate
    from task2sim_vqa.features import batch_of
    from task2sim_vqa.text import tokens

    questions = [entry for split in splits for entry in split.questions]
    notes = [note for split in splits for note in split.annotations]
    domains = [domain for domain, split in enumerate(splits) for _ in range(len(split))]
    numbers = {name: k for k, name in enumerate(answers)}
    texts, present = tokens(tokenizer, [str(entry["question"]) for entry in questions])
    lengths = present.sum(dim=1)
    targets = torch.zeros(len(notes), len(answers))
    for row, note in enumerate(notes):
        for name, score in soft_scores(people(note)).items():
            if name in numbers:
                targets[row, numbers[name]] = score
    pools = (
        [FeaturePool((some.features, some.classes) for some in domain.values()) for domain in seen] if swaps else []
    )
    random = spawn_generator(seed, "vqa swap")

    def picture(row: int) -> tuple[Any, Any]:
        domain = domains[row]
        some = seen[domain][questions[row]["image_id"]]
        if not swaps:
            return some.features, some.positions
        return swap(some.features, some.classes, pools[1 - domain], random), some.positions

    steps = max(1, len(questions) // config.batch_size)
    before = 0.1 if config.text_encoder is not None else 1.0
    theirs = list(network.text.parameters())
    ours = [value for name, value in network.named_parameters() if not name.startswith("text.")]
    groups: list[dict[str, Any]] = [{"params": ours}, {"params": theirs, "lr": before * config.learning_rate}]
    optimiser = torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, partial(rate, steps=config.epochs * steps))
    network.train()
    mean = 0.0
    for epoch in range(1, config.epochs + 1):
        report_progress("learn", epoch - 1, config.epochs, "epochs")
        total = 0.0
        for rows in torch.randperm(len(questions)).tensor_split(steps):
            chosen = rows.tolist()
            longest = int(lengths[rows].max())
            logits = network(
                texts[rows, :longest], present[rows, :longest], *batch_of([picture(row) for row in chosen])
            )
            loss = functional.binary_cross_entropy_with_logits(logits, targets[rows], reduction="sum") / len(rows)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) * len(rows)
        mean = total / len(questions)
        if not math.isfinite(mean):
            raise ConfigError(
                f"training diverged in epoch {epoch}: the loss is {mean}",
                place="learning_rate",
                mend=f"try a lower one than {config.learning_rate:g}",
            )
    report_progress("learn", config.epochs, config.epochs, "epochs")
    return mean
