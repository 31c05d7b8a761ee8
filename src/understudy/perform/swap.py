"""Swapping: crops of one performer in, crops of another giving the same performance out, a batch at a time."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

import numpy as np

from understudy.errors import CheckpointError, InternalError, OptionError

if TYPE_CHECKING:
    from understudy.family import Performer, SwapResult

Key = TypeVar("Key")

BATCH = 8
"""Crops handed to a family at a time. A family's result for a crop does not depend on the others in its batch."""


@dataclass(frozen=True, kw_only=True)
class SwappedFace:
    """A generated face.

    Attributes:
        crop: (size, size, 3) float32 RGB in [0, 1], view colour space.
        matte: (size, size) float32 in [0, 1], where the family says that its face is, or None.
    """

    crop: np.ndarray
    matte: np.ndarray | None


@dataclass(frozen=True, kw_only=True)
class CropFace:
    """Whose crop it is, for performers that look at more than the crop.

    Attributes:
        number: the frame's number.
        track: the face's.
        landmarks: (478, 3) plate pixels.
    """

    number: int
    track: int
    landmarks: np.ndarray


@runtime_checkable
class FacePerformer(Protocol):
    """A performer made for one shot, which knows the shot's faces (otherwise see ``understudy.family.Performer``)."""

    identities: tuple[str, ...]
    size: int
    oval_share: float
    """Height of the face, chin to forehead, as share of the side of its crops."""
    seam: str
    """How its crops are laid in, see ``composite.regions.lay_regions``."""

    def swap_faces(self, crops: np.ndarray, identity: str, faces: Sequence[CropFace]) -> SwapResult:
        """(B, size, size, 3) float32 RGB in [0, 1] crops of the plate -> the swapped faces, with mattes."""
        ...


def open_performer(checkpoint: Path | str, *, device: str = "auto") -> Performer:
    """A checkpoint, whichever family's, ready to swap.

    Raises:
        CheckpointError: not there, unreadable, foreign, or of a family that does not swap.
        OptionError: the device is not there.
    """
    from understudy import families
    from understudy.checkpoint import read_card
    from understudy.family import Task

    name = read_card(checkpoint).family
    if name not in families.names():
        raise CheckpointError(
            f"{checkpoint} is a {name} model; this version has no such family, only {', '.join(families.names())}."
        )
    family = families.get(name)
    if Task.SWAP not in family.tasks:
        raise CheckpointError(
            f"{checkpoint} is a {name} model, which does {', '.join(sorted(family.tasks))} but no swap; choose another."
        )
    return family.performer(checkpoint, device=device)


def check_identity(identities: Iterable[str], identity: str) -> None:
    """Make sure that a model knows an identity.

    Raises:
        OptionError: it does not; the sentence says whom it knows.
    """
    identities = tuple(identities)
    if identity in identities:
        return
    near = difflib.get_close_matches(identity, identities, n=1)
    hint = f"did you mean {near[0]!r}? It knows" if near else "it knows"
    raise OptionError(f"--identity {identity}: the model does not know this name; {hint} {', '.join(identities)}.")


def swap_crops(
    crops: Iterable[tuple[Key, np.ndarray]],
    *,
    performer: Performer | FacePerformer,
    identity: str,
    batch: int = BATCH,
    face_of: Callable[[Key], CropFace] | None = None,
) -> Iterator[tuple[Key, SwappedFace]]:
    """Generate a face for every crop, in order, holding one batch in memory.

    Args:
        crops: pairs of anything and a crop (size, size, 3) float32 RGB in [0, 1], view space; size is the performer's.
        performer: from :func:`open_performer`.
        identity: whose face.
        batch: how many crops go to the performer at a time; the pixels do not depend on it.
        face_of: whose crop a key's is; needed by a :class:`FacePerformer`.

    Raises:
        OptionError: the performer does not know the identity.
        InternalError: a crop or a result has the wrong shape, or a result is not finite.
    """
    check_identity(performer.identities, identity)
    keys: list[Key] = []
    waiting: list[np.ndarray] = []
    for key, crop in crops:
        if crop.shape != (performer.size, performer.size, 3):
            raise InternalError(f"a crop is {crop.shape}; the performer takes ({performer.size}, {performer.size}, 3).")
        keys.append(key)
        waiting.append(crop)
        if len(waiting) == batch:
            faces = None if face_of is None else [face_of(one) for one in keys]
            yield from zip(keys, _perform(waiting, performer, identity, faces), strict=True)
            keys, waiting = [], []
    if waiting:
        faces = None if face_of is None else [face_of(one) for one in keys]
        yield from zip(keys, _perform(waiting, performer, identity, faces), strict=True)


def _perform(
    crops: list[np.ndarray], performer: Performer | FacePerformer, identity: str, faces: list[CropFace] | None
) -> list[SwappedFace]:
    stacked = np.stack(crops).astype(np.float32, copy=False)
    if isinstance(performer, FacePerformer):
        if faces is None:
            raise InternalError("this performer must be told whose crops they are.")
        result = performer.swap_faces(stacked, identity, faces)
    else:
        result = performer.swap(stacked, identity)
    generated = np.asarray(result.crops, np.float32)
    if generated.shape != (len(crops), *crops[0].shape):
        raise InternalError(
            f"the family returned crops of shape {generated.shape} for {len(crops)} of {crops[0].shape}."
        )
    if not np.isfinite(generated).all():
        raise InternalError("the family returned NaN or infinite pixels.")
    mattes = [None] * len(crops) if result.mattes is None else list(np.asarray(result.mattes, np.float32))
    return [SwappedFace(crop=crop, matte=matte) for crop, matte in zip(np.clip(generated, 0, 1), mattes, strict=True)]
