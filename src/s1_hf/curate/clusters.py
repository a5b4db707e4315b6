"""Domains for a pool that has none: clusters of questions, by their words or by a model's embeddings.

Spherical k-means on integers. Vectors are scaled to length 1,024 and rounded, so every dot product is a sum of integers
below 2^24, which float32 adds exactly in any order. Clusters by words are therefore the same on every machine, whatever
its BLAS and number of threads. A model's embeddings differ between machines in their last bits, so their clusters may
differ too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from s1_hf._lazy import require
from s1_hf.curate.draws import Draws
from s1_hf.curate.text import number
from s1_hf.finding import model_named

_LENGTH = 1024  # of every vector; its square, 2^20, bounds all partial sums of a dot product
_WIDTH = 1024  # number of buckets that words are hashed into
_ROUNDS = 30
_ROWS = 4096  # compared with the centres at a time
_WORD = re.compile(r"[^\W\d_]{3,}")

Vectors = np.ndarray[Any, np.dtype[np.float32]]


def cluster(texts: Sequence[str], count: int, seed: int, *, model: str | None = None) -> list[str]:
    """The name of each text's cluster: a number and its most characteristic words, `"03 circle, triangle, radius"`.

    Args:
        texts (`Sequence[str]`): in an order that does not depend on the pool's, because the first centres are drawn
            by position.
        count (`int`): number of clusters; a cluster that loses all its texts is left out.
        seed (`int`): random seed for the first centres, which are different texts.
        model (`str`, *optional*): a folder or a name on the Hub; a text's vector is the mean of the model's last hidden
            states. Without a model, vectors are TF-IDF of hashed words (three or more letters, no digits). The idf is
            log2(texts / texts with the word), rounded down, so words found in more than half of the texts do not count.
    """
    found = [_WORD.findall(text.lower()) for text in texts]
    frequency = Counter(word for words in found for word in set(words))
    vectors = _embeddings(texts, model) if model else _tf_idf(found, frequency)
    labels = _k_means(vectors, min(count, len(texts)), Draws(seed))
    names = _names(labels, found, frequency)
    return [names[label] for label in labels]


def _tf_idf(found: list[list[str]], frequency: Counter[str]) -> Vectors:
    buckets = {word: number(word) % _WIDTH for word in frequency}
    vectors = np.zeros((len(found), _WIDTH), np.float32)
    for row, words in enumerate(found):
        for word, times in Counter(words).items():
            vectors[row, buckets[word]] += times * _idf(len(found), frequency[word])
    return _whole(vectors)


def _idf(texts: int, frequency: int) -> int:
    return (texts // frequency).bit_length() - 1


def _whole(vectors: Any) -> Vectors:
    """Scaled to `_LENGTH` and rounded, using only integer sums and operations that IEEE 754 defines to the last bit."""
    lengths = np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
    return np.asarray(np.rint(vectors * (_LENGTH / np.maximum(lengths, 1e-300))), np.float32)


def _k_means(vectors: Vectors, count: int, draws: Draws) -> list[int]:
    centres = _first_centres(vectors, count, draws)
    labels = np.zeros(len(vectors), np.int64)
    for _ in range(_ROUNDS):
        before, labels = labels, _nearest(vectors, centres)
        if (before == labels).all():
            break
        sums = np.zeros(centres.shape)
        np.add.at(sums, labels, vectors)
        members = np.bincount(labels, minlength=len(centres))
        centres = np.where(members[:, None] > 0, _whole(sums), centres).astype(np.float32)
    return [int(label) for label in labels]


def _first_centres(vectors: Vectors, count: int, draws: Draws) -> Vectors:
    """As in k-means++, weighted by the distance to the nearest earlier centre: 1 - cosine, in units of 2^-20."""
    rows = [draws.below(len(vectors))]
    far = np.full(len(vectors), _LENGTH**2, np.int64)
    while len(rows) < count:
        far = np.minimum(far, _LENGTH**2 - (vectors @ vectors[rows[-1]]).astype(np.int64)).clip(min=0)
        far[rows] = 0
        if not (total := int(far.sum())):
            break
        rows.append(int(np.searchsorted(np.cumsum(far), draws.below(total), side="right")))
    return vectors[rows]


def _nearest(vectors: Vectors, centres: Vectors) -> Any:
    """The nearest centre of each vector; the first one on a tie."""
    parts = [(vectors[at : at + _ROWS] @ centres.T).argmax(axis=1) for at in range(0, len(vectors), _ROWS)]
    return np.concatenate(parts)


def _names(labels: list[int], found: list[list[str]], frequency: Counter[str]) -> dict[int, str]:
    words: dict[int, Counter[str]] = {label: Counter() for label in labels}
    for label, row in zip(labels, found, strict=True):
        words[label].update(set(row))
    names = {}
    for label, counts in words.items():
        weight = {word: times * _idf(len(found), frequency[word]) for word, times in counts.items()}
        telling = sorted(weight, key=lambda word: (-weight[word], word))[:3]
        names[label] = f"{label:02} {', '.join(telling)}".strip()
    return names


def _embeddings(texts: Sequence[str], model: str) -> Vectors:
    torch, transformers = require("torch", "data"), require("transformers", "data")
    model = model_named(model)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    network = transformers.AutoModel.from_pretrained(model).eval()
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    longest = min(512, getattr(network.config, "max_position_embeddings", 512))
    rows = []
    for at in range(0, len(texts), 16):
        batch = tokenizer(
            list(texts[at : at + 16]), padding=True, truncation=True, max_length=longest, return_tensors="pt"
        )
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
        with torch.inference_mode():
            hidden = network(**inputs).last_hidden_state.float()
        mask = inputs["attention_mask"][:, :, None]
        rows.append(((hidden * mask).sum(1) / mask.sum(1).clamp(min=1)).numpy())
    return _whole(np.concatenate(rows))
