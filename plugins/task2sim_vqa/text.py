"""Words of questions: a vocabulary with a text encoder of its own, or ones that were trained before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from task2sim import StoreError

LONGEST = 48
"""Words of a question; further ones are not read."""


def new_text(questions: Iterable[str], width: int, layers: int, heads: int, dropout: float) -> tuple[Any, Any]:
    """A tokenizer that knows the words of these questions, and an untrained BERT (Devlin et al., NAACL 2019).

    Initial weights come from torch's generator.

    Args:
        questions: In English.
        width: Of the encoder's layers.
        layers: How many.
        heads: Of attention.
        dropout: Share of units that are dropped in training.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import AutoModel, BertConfig, PreTrainedTokenizerFast

    split, lower = pre_tokenizers.Whitespace(), normalizers.BertNormalizer()
    words = sorted({word for text in questions for word, _ in split.pre_tokenize_str(lower.normalize_str(text))})
    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = lower, split
    wrap: Any = PreTrainedTokenizerFast
    wrapped = wrap(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", model_max_length=LONGEST,
        model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=2 * width, max_position_embeddings=LONGEST, hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout, pad_token_id=0,
    )  # fmt: skip
    untrained: Any = AutoModel.from_config
    return wrapped, untrained(config)


def trained_text(folder: Path) -> tuple[Any, Any]:
    """A tokenizer and a text encoder of transformers, as ``save_pretrained`` wrote them.

    Raises:
        StoreError: there is none, or a damaged one.
    """
    from transformers import AutoModel, AutoTokenizer

    if not (folder / "config.json").is_file():
        raise StoreError("there is no text encoder here: config.json is missing", place=str(folder), mend=_SAVE)
    try:
        model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        tokenizer.padding_side = "right"
        return tokenizer, model
    except Exception as error:  # transformers has no error of its own for a damaged folder.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(":.")
        raise StoreError(f"there is no text encoder here: {reason[:200]}", place=str(folder), mend=_SAVE) from None


_SAVE = "save a text encoder of transformers and its tokenizer there"


def save_text(tokenizer: Any, encoder: Any, folder: Path) -> None:
    """Write what `empty_text` needs; weights are not part of it."""
    tokenizer.save_pretrained(folder)
    encoder.config.save_pretrained(folder)


def empty_text(folder: Path) -> tuple[Any, Any]:
    """The tokenizer that `save_text` wrote, and an encoder whose weights are still to be filled in."""
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    untrained: Any = AutoModel.from_config
    return AutoTokenizer.from_pretrained(folder, local_files_only=True), untrained(config)


def tokens(tokenizer: Any, texts: Sequence[str], marks: bool = True) -> tuple[Any, Any]:
    """Numbers of words and whether they are there, both int64 tensors of shape (B, L).

    Args:
        tokenizer: Of the text encoder.
        texts: What to read.
        marks: Whether the marks for begin and end belong there, if the text encoder has some.
    """
    read = tokenizer(
        list(texts), add_special_tokens=marks, padding=True, truncation=True, max_length=LONGEST, return_tensors="pt"
    )
    return read["input_ids"], read["attention_mask"]
