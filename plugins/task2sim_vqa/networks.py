"""The networks: one that looks at regions, one that answers.

Imports torch, so import it only when work is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn

CROP = 32
"""Height and width at which a region is looked at, in pixels."""
HIDDEN = 128
POSITION = 5
GATES = 8
"""Kinds of regions that are counted."""
MOST_COUNTED = 12


class RegionEncoder(nn.Module):
    """Tells what a region shows: category, colour, material.

    After bottom-up attention (Anderson et al., CVPR 2018, section 3.1), whose features were trained on objects with
    attributes. A region's feature is the last hidden layer with the probabilities of all words.

    Args:
        words: For each of category, colour and material how many there are, 0 for none.
    """

    def __init__(self, words: Sequence[int]) -> None:
        super().__init__()
        widths = (3, 32, 64, HIDDEN)
        self.stages = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(before, after, 3, padding=1, bias=False),
                    nn.BatchNorm2d(after),
                    nn.ReLU(),
                    nn.MaxPool2d(2),
                )
                for before, after in pairwise(widths)
            )
        )
        self.hidden = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(HIDDEN * (CROP // 8) ** 2, HIDDEN))
        self.heads = nn.ModuleList(nn.Linear(HIDDEN, count) for count in words if count)

    @property
    def size(self) -> int:
        """Length of a region's feature."""
        return HIDDEN + sum(head.out_features for head in self.heads)  # type: ignore[misc]

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The hidden layer, of shape (B, HIDDEN), and the logits of each head.

        Args:
            crops: uint8 of shape (B, 3, CROP, CROP).
        """
        hidden = torch.relu(
            self.hidden(self.stages(crops.float().contiguous(memory_format=torch.channels_last) / 127.5 - 1.0))
        )
        return hidden, [head(hidden) for head in self.heads]

    def features(self, crops: torch.Tensor) -> torch.Tensor:
        """Features of shape (B, size)."""
        hidden, logits = self(crops)
        return torch.cat([hidden, *(part.softmax(dim=1) for part in logits)], dim=1)


class Reduction(nn.Module):
    """Sums up a sequence by attention to its items (Yu et al., "Deep modular co-attention networks", CVPR 2019)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.weight = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 1))
        self.out = nn.Linear(width, width)

    def forward(self, items: torch.Tensor, absent: torch.Tensor) -> torch.Tensor:
        """Items of shape (B, L, width), of which some are absent, become one of shape (B, width)."""
        weights = self.weight(items).masked_fill(absent[..., None], float("-inf")).softmax(dim=1)
        return torch.as_tensor(self.out((weights * items).sum(dim=1)))


class AnswerNetwork(nn.Module):
    """Answers a question on regions by co-attention (MCAN: Yu et al., CVPR 2019, sections 3 and 4).

    The text encoder's layers are the self-attention on the question. Layers with self-attention on regions and
    attention to them that the question guides follow; both sides are reduced, added and classified. Weights that sum
    to one forget how many regions there are (Zhang et al., "Learning to count objects in natural images for visual
    question answering", ICLR 2018), so gates that open for each region by itself, where it fits the question, are
    summed too.

    What a region is taken for joins it as the embeddings of those words, with how much they are like a word of the
    question, so that the network need not learn which word means which region (after the object tags of Oscar: Li et
    al., ECCV 2020).

    Args:
        text: A text encoder of transformers.
        names: Tokens of the words whose probabilities end a region's feature, and 1 where there is one; both int64 of
            shape (W, L).
        kinds: How many of them are categories, colours and materials.
        answers: How many answers there are.
        width: Of all layers.
        layers: How many layers of guided attention.
        heads: Of attention.
        dropout: Share of units that are dropped in training.
    """

    def __init__(
        self,
        text: nn.Module,
        names: tuple[torch.Tensor, torch.Tensor],
        kinds: Sequence[int],
        answers: int,
        width: int,
        layers: int,
        heads: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.text = text
        config: Any = text.config
        self.name_tokens, self.name_present = nn.Buffer(names[0]), nn.Buffer(names[1])
        self.kinds = [count for count in kinds if count]
        self.matches = nn.Linear(len(self.kinds), width)
        self.name_norm = nn.LayerNorm(config.hidden_size)
        self.words = nn.Linear(config.hidden_size, width)
        self.feature = nn.Sequential(nn.LayerNorm(HIDDEN), nn.Linear(HIDDEN, width))
        self.position = nn.Sequential(nn.Linear(POSITION, width), nn.ReLU(), nn.Linear(width, width))
        layer = nn.TransformerDecoderLayer(width, heads, 2 * width, dropout, batch_first=True, norm_first=True)
        self.guided = nn.TransformerDecoder(layer, layers, nn.LayerNorm(width))
        _look_for_same(self.guided)
        self.gates, self.counts = nn.Linear(width, GATES), nn.Linear(GATES * (MOST_COUNTED + 1), width)
        self.reduce_text, self.reduce_regions = Reduction(width, dropout), Reduction(width, dropout)
        self.norm = nn.LayerNorm(width)
        last = nn.Linear(2 * width, answers)
        # Each answer is wrong of most questions: start from there.
        nn.init.constant_(last.bias, -3.0)
        self.classify = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Dropout(dropout), last)

    def forward(
        self,
        tokens: torch.Tensor,
        present: torch.Tensor,
        features: torch.Tensor,
        positions: torch.Tensor,
        absent: torch.Tensor,
    ) -> torch.Tensor:
        """Logits of the answers, of shape (B, answers).

        Args:
            tokens: Numbers of words, int64 of shape (B, L).
            present: 1 for a word, 0 for padding; int64 of shape (B, L).
            features: Of regions, of shape (B, R, HIDDEN + W).
            positions: Boxes and areas, of shape (B, R, 5).
            absent: True for padding, of shape (B, R).
        """
        words = self.words(self.text(input_ids=tokens, attention_mask=present).last_hidden_state)
        unsaid = present == 0
        tags = self._tags(features[..., HIDDEN:])
        said = self.name_norm(self._embedded(tokens))
        alike = [(tag @ said.transpose(1, 2)).masked_fill(unsaid[:, None], 0.0).amax(dim=2) for tag in tags]
        matches = self.matches(torch.stack(alike, dim=2) / said.shape[2])
        regions = self.feature(features[..., :HIDDEN]) + self.position(positions) + self.words(sum(tags)) + matches
        regions = self.guided(regions, words, tgt_key_padding_mask=absent, memory_key_padding_mask=unsaid)
        question = self.reduce_text(words, unsaid)
        gates = torch.sigmoid(self.gates(regions * question[:, None])).masked_fill(absent[..., None], 0.0)
        counted = self.counts(one_hot(gates.sum(dim=1)).flatten(1))
        both = question + self.reduce_regions(regions, absent) + counted
        return torch.as_tensor(self.classify(self.norm(both)))

    def _embedded(self, tokens: torch.Tensor) -> torch.Tensor:
        text: Any = self.text
        return torch.as_tensor(text.get_input_embeddings()(tokens))

    def _tags(self, shares: torch.Tensor) -> list[torch.Tensor]:
        """For each kind the embeddings of its names, weighed by each region's probabilities, (B, R, hidden size)."""
        present = self.name_present[..., None]
        names = (self._embedded(self.name_tokens) * present).sum(dim=1) / present.sum(dim=1)
        parts = zip(torch.split(shares, self.kinds, dim=2), torch.split(names, self.kinds), strict=True)
        return [self.name_norm(share @ name) for share, name in parts]


def one_hot(counts: torch.Tensor) -> torch.Tensor:
    """One-hot vectors of numbers; one between two whole numbers is a little of both (Zhang et al., ICLR 2018).

    Args:
        counts: Of any shape, >= 0; those above MOST_COUNTED count as that.

    Returns:
        One dimension more, of size MOST_COUNTED + 1.
    """
    numbers = torch.arange(MOST_COUNTED + 1, dtype=counts.dtype, device=counts.device)
    return torch.relu(1.0 - (counts.clamp(max=MOST_COUNTED)[..., None] - numbers).abs())


def _look_for_same(decoder: nn.TransformerDecoder) -> None:
    """Start with attention that is the stronger the more alike two sides are: queries and keys have equal weights.

    See Trockman and Kolter, "Mimetic initialization of self-attention layers", ICML 2023.
    """
    for layer in decoder.layers:
        attention: Any = layer.multihead_attn
        width = attention.embed_dim
        with torch.no_grad():
            attention.in_proj_weight[width : 2 * width] = attention.in_proj_weight[:width]
