"""Trained models that answer: opened, asked, saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import attrs
import pydantic

from task2sim import StoreError, report_progress
from task2sim_vqa.folders import VQAFolder

if TYPE_CHECKING:
    from task2sim_vqa.features import Words
    from task2sim_vqa.networks import AnswerNetwork, RegionEncoder

MANIFEST = "vqa_model.json"
ANSWERS = "answers.safetensors"
REGION_WEIGHTS = "regions.safetensors"
TEXT = "text"
BATCH = 256


class Manifest(pydantic.BaseModel):
    """What ``vqa_model.json`` says.

    Attributes:
        format: Version of this file's form.
        answers: What the model can answer, normalised.
        categories: What its region encoder can tell.
        colours: The same of colours.
        materials: The same of materials.
        width: Of the layers.
        layers: How many layers of guided attention.
        heads: Of attention.
        questions: How many it was trained on, of the real folder and of the synthetic one.
        epochs: How often each was seen.
        swap: Whether features were swapped between the two.
        seed: The seed.
        loss: Mean loss of the last epoch.
        torch: Version of torch that it was trained with.
    """

    model_config = pydantic.ConfigDict(frozen=True)

    format: Literal[1] = 1
    answers: tuple[str, ...]
    categories: tuple[str, ...]
    colours: tuple[str, ...]
    materials: tuple[str, ...]
    width: int
    layers: int
    heads: int
    questions: tuple[int, int]
    epochs: int
    swap: bool
    seed: int
    loss: float
    torch: str

    @property
    def words(self) -> Words:
        """What the region encoder can tell."""
        from task2sim_vqa.features import Words

        return Words(categories=self.categories, colours=self.colours, materials=self.materials)


@attrs.frozen(eq=False)
class Answerer:
    """A model that answers questions on pictures.

    Attributes:
        manifest: What it is.
        encoder: Sees regions.
        tokenizer: Reads questions.
        network: Answers.
    """

    manifest: Manifest
    encoder: RegionEncoder = attrs.field(repr=False)
    tokenizer: Any = attrs.field(repr=False)
    network: AnswerNetwork = attrs.field(repr=False)

    def answer(self, folder: VQAFolder) -> dict[int, str]:
        """Answers to all questions of a folder, by question_id.

        Raises:
            TaskError: a picture can't be read.
        """
        import torch

        from task2sim_training.surroundings import reproducible
        from task2sim_vqa.features import batch_of, crops, see
        from task2sim_vqa.text import tokens

        found: dict[int, str] = {}
        questions = folder.split.questions
        with reproducible(0, threads=1), torch.inference_mode():
            seen = see(folder, crops(folder), self.encoder)
            self.network.eval()
            for start in range(0, len(questions), BATCH):
                report_progress("answer", start, len(questions), "questions")
                some = questions[start : start + BATCH]
                pictures = [seen[entry["image_id"]] for entry in some]
                logits = self.network(
                    *tokens(self.tokenizer, [entry["question"] for entry in some]),
                    *batch_of([(picture.features, picture.positions) for picture in pictures]),
                )
                for entry, best in zip(some, logits.argmax(dim=1).tolist(), strict=True):
                    found[entry["question_id"]] = self.manifest.answers[best]
            report_progress("answer", len(questions), len(questions), "questions")
        return found

    def save(self, folder: Path) -> None:
        """Write the model; its manifest comes last.

        Raises:
            StoreError: the folder can't be written.
        """
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        from task2sim_vqa.text import save_text

        try:
            for name, network in ((ANSWERS, self.network), (REGION_WEIGHTS, self.encoder)):
                weights = {key: value.detach().contiguous() for key, value in network.state_dict().items()}
                save_file(weights, folder / name, metadata={"format": "pt"})
            save_text(self.tokenizer, self.network.text, folder / TEXT)
            (folder / MANIFEST).write_text(self.manifest.model_dump_json(indent=2), encoding="utf-8")
        except (OSError, SafetensorError) as error:
            raise StoreError(f"can't write the model: {error}", place=str(folder)) from error


def open_regions(folder: Path) -> tuple[Words, RegionEncoder]:
    """The region encoder of a model, on its own.

    Raises:
        StoreError: the folder holds no model, or a damaged one.
    """
    manifest = _manifest(folder)
    from safetensors.torch import load_file

    from task2sim_vqa.networks import RegionEncoder

    try:
        encoder = RegionEncoder(manifest.words.counts)
        encoder.load_state_dict(load_file(folder / REGION_WEIGHTS))
    except Exception as error:  # Each of the libraries has errors of its own for each kind of damage.
        raise _damaged(folder, error) from error
    return manifest.words, encoder.eval()


def open_answerer(folder: Path) -> Answerer:
    """Open a model that ``task2sim vqa train`` saved.

    Raises:
        StoreError: the folder holds no model, or a damaged one.
    """
    manifest = _manifest(folder)
    from safetensors.torch import load_file

    from task2sim_vqa.networks import AnswerNetwork
    from task2sim_vqa.text import empty_text, tokens

    words, encoder = open_regions(folder)
    try:
        tokenizer, text = empty_text(folder / TEXT)
        network = AnswerNetwork(
            text,
            tokens(tokenizer, words.names(), marks=False),
            words.counts,
            len(manifest.answers),
            manifest.width,
            manifest.layers,
            manifest.heads,
            0.0,
        )
        network.load_state_dict(load_file(folder / ANSWERS))
    except Exception as error:  # See above.
        raise _damaged(folder, error) from error
    return Answerer(manifest, encoder, tokenizer, network.eval())


def _manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    if not path.is_file():
        raise StoreError(
            f"there is no model here: {MANIFEST} is missing",
            place=str(folder),
            mend="name a folder that task2sim vqa train wrote",
        )
    try:
        return Manifest.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise _damaged(folder, error) from error


def _damaged(folder: Path, error: Exception) -> StoreError:
    reason = str(error).strip().splitlines()[0].rstrip(":.") if str(error).strip() else type(error).__name__
    return StoreError(f"the model is damaged: {reason[:200]}", place=str(folder), mend="train it again")
