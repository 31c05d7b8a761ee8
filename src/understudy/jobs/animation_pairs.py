"""Stills and the pictures that their animation should become, from labelled crops of one set-up, with their faces measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from understudy.errors import DatasetError

if TYPE_CHECKING:
    from understudy.dataset.labelled import Labelled


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A face as it was measured in a picture."""

    landmarks: np.ndarray
    """(478, 3) the picture's pixels."""
    units: np.ndarray
    """(17,) in 0 to 5: the change from ``rest`` where one was given, else as anybody's face is read."""
    rest: Any = None
    """This face, for the reader to compare others of the same person with."""


class Reader(Protocol):
    """Measures the face of a crop."""

    def read(self, picture: np.ndarray, rest: Any = None) -> Seen | None:
        """(s, s, 3) float32 RGB in [0, 1] -> its face, None where none is found; ``rest`` is that of an earlier one."""
        ...


class MeshReader:
    """MediaPipe's mesh, averaged over a few looks, and the packaged units (see :class:`Reader`)."""

    def __init__(self) -> None:
        from understudy.faces.action_units import ActionUnitModel
        from understudy.faces.blendshapes import BlendshapeModel
        from understudy.faces.detect import FaceDetector
        from understudy.faces.landmarks import LandmarkModel
        from understudy.faces.models import find_models

        models = find_models()
        self.detector, self.mesh = FaceDetector(models, tiles="none"), LandmarkModel(models)
        self.shapes = None if models.blendshapes is None else BlendshapeModel(models)
        self.units = ActionUnitModel.packaged()

    def read(self, picture: np.ndarray, rest: Any = None) -> Seen | None:
        """See :class:`Reader`."""
        from understudy.faces.landmarks import eight_bit
        from understudy.faces.measure import measure_faces
        from understudy.faces.stabilise import stabilise_landmarks

        view = eight_bit(picture)
        faces = measure_faces(view, self.detector, self.mesh)
        if not faces:
            return None
        points = stabilise_landmarks(view, faces[0], self.mesh, perturbations=5)[None]
        shapes = None if self.shapes is None else self.shapes.blendshapes(points)
        units = self.units.measure(points, shapes, rest=rest)[0]
        return Seen(landmarks=points[0], units=units, rest=self.units.rest_of(points, shapes))


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A still and its answer, (s, s, 3) float32 RGB in [0, 1], with what is known and what was measured of them."""

    still: np.ndarray
    answer: np.ndarray
    still_label: Labelled
    answer_label: Labelled
    still_seen: Seen
    answer_seen: Seen
    mask: np.ndarray
    """(s, s) float32 in [0, 1]: the faces of both."""


def choose_pairs(entries: Sequence[Labelled], count: int, *, source: Path) -> list[tuple[Labelled, Labelled]]:
    """At most ``count`` pairs of a set-up's calmest picture and another of it with other units, spread over the people.

    Raises:
        DatasetError: no two pictures of one set-up.
    """
    groups: dict[tuple[str, str], list[Labelled]] = {}
    for entry in entries:
        if entry.setup:
            groups.setdefault((entry.person, entry.setup), []).append(entry)
    pairs = []
    for group in groups.values():
        still, *answers = sorted(group, key=_agitation)
        pairs += [(still, answer) for answer in answers if not _labelled_alike(still, answer)]
    if not pairs:
        raise DatasetError(
            f"{source} has no two pictures of one person and set-up, so there is no true answer to compare with."
        )
    places = np.unique(np.linspace(0, len(pairs) - 1, min(count, len(pairs))).round().astype(int))
    return [pairs[int(place)] for place in places]


def see_pairs(pairs: Sequence[tuple[Labelled, Labelled]], size: int, reader: Reader) -> Iterator[Pair | None]:
    """The pairs with their pictures at ``size``; None where a face was not found.

    Raises:
        DatasetError: a picture cannot be read.
    """
    from understudy.dataset.labelled_batches import read_square
    from understudy.faces.parse import face_mask

    def load(label: Labelled) -> np.ndarray:
        return read_square(label.picture, size).astype(np.float32) / np.float32(255)

    latest, first, first_seen = None, np.empty(0), None
    for still, answer in pairs:
        if still is not latest:  # pairs of one still follow each other
            latest, first = still, load(still)
            first_seen = reader.read(first)
            # What a face does is read far better against the same face at rest than against everybody's.
            first_seen = first_seen and reader.read(first, first_seen.rest)
        second = load(answer)
        second_seen = first_seen and reader.read(second, first_seen.rest)
        if first_seen is None or second_seen is None:
            yield None
            continue
        masks = [face_mask(seen.landmarks, size) for seen in (first_seen, second_seen)]
        yield Pair(
            still=first,
            answer=second,
            still_label=still,
            answer_label=answer,
            still_seen=first_seen,
            answer_seen=second_seen,
            mask=np.maximum(*masks),
        )


def _labelled_alike(still: Labelled, answer: Labelled) -> bool:
    """Nothing is asked of the still, as far as the units know, so that there is nothing to measure."""
    if still.units is None or answer.units is None or still.expression != answer.expression:
        return False
    return bool((np.asarray(still.units) == answer.units).all())


def _agitation(entry: Labelled) -> float:
    if entry.units is not None:
        return float(entry.units.sum())
    return 0.0 if entry.expression == "neutral" else 1.0
