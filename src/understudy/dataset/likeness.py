"""How much a face set's pictures look like one person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from understudy.dataset.face_set import FaceEntry, FaceSet

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class Embedder:
    """What likeness rests on.

    Attributes:
        name: kept with the stored vectors; another name means other vectors.
        embed: picture (s, s, 3) float32 RGB in [0, 1] and landmarks (478, 2) in its pixels -> vector (N,).
        title: what it is, for people.
    """

    name: str
    embed: Callable[[np.ndarray, np.ndarray], np.ndarray]
    title: str


def measure_likeness(
    face_set: FaceSet,
    entries: Sequence[FaceEntry],
    embedder: Embedder,
    *,
    progress: Progress = lambda stage, done, total: None,
) -> dict[str, float]:
    """Cosine (-1 to 1) of every picture's vector with the mean of the set, strangers left out of the mean.

    Vectors are computed once and kept in the set; a stopped run goes on.
    """
    vectors = face_set.vectors(embedder.name)
    fresh: dict[str, np.ndarray] = {}
    for index, entry in enumerate(entries):
        if entry.name not in vectors:
            picture, _ = face_set.load(entry)
            fresh[entry.name] = np.asarray(embedder.embed(picture, entry.landmarks), np.float32).ravel()
        if len(fresh) >= 64 or index + 1 == len(entries):
            face_set.store_vectors(embedder.name, fresh)
            vectors |= fresh
            fresh = {}
            progress("likeness", index + 1, len(entries))
    if not entries:
        return {}
    stacked = np.stack([vectors[entry.name] for entry in entries])
    cosines = stacked_likeness(stacked)
    return {entry.name: float(cosine) for entry, cosine in zip(entries, cosines, strict=True)}


def stacked_likeness(vectors: np.ndarray) -> np.ndarray:
    """Cosines (N,) of vectors (N, D) with their mean; the quarter that is least like it has no say in it."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    weights = np.ones(len(unit), bool)
    cosines = np.ones(len(unit))
    for _ in range(4):
        mean = unit[weights].mean(axis=0)
        cosines = unit @ (mean / max(float(np.linalg.norm(mean)), 1e-9))
        weights = cosines >= np.quantile(cosines, 0.25)
    return cosines


def low_resolution_embedder(side: int = 16) -> Embedder:
    """A stand-in where no identity network is at hand: the aligned face at ``side`` pixels, contrast evened out.

    It tells a stranger with other colouring from the set; it does not tell twins, and light from one side disturbs it.
    """

    def embed(picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        import cv2

        middle = picture[round(0.2 * len(picture)) : round(0.85 * len(picture)), round(0.22 * len(picture)) :][
            :, : round(0.56 * len(picture))
        ]
        small = cv2.resize(middle, (side, side), interpolation=cv2.INTER_AREA)
        return ((small - small.mean()) / max(float(small.std()), 1e-3)).ravel()

    return Embedder(name=f"pixels-{side}", embed=embed, title=f"aligned pixels at {side}² (no identity network)")
