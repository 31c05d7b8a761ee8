"""Faces over time: the same person keeps the same number, through crossings, short gaps and cuts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from understudy.errors import OptionError
from understudy.faces.align import fit_mesh
from understudy.faces.appearance import NO_LOOK, Gallery, describe
from understudy.faces.cuts import CutFinder
from understudy.faces.detect import FaceDetector, box_overlap
from understudy.faces.face import Detection, Face
from understudy.faces.landmarks import LandmarkModel, roi_from_detection, roi_from_landmarks
from understudy.faces.measure import make_face

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class TrackerOptions:
    """How faces are followed.

    Attributes:
        presence: the mesh model's least score for a face that is followed, 0 to 1; a new one must reach 0.2 more.
        people: at most so many people at a time; None is no limit.
        search_every: frames between looks for newcomers in the whole picture.
        tiles_every: frames between looks for small newcomers in tiles.
        patience: frames for which a lost face is looked for in every frame, near where it would be.
        likeness_near: least likeness, -1 to 1, for taking a face near the place of a lost one for the same person; how near
            it is adds up to 0.25.
        likeness_far: the same for a face anywhere else, after a longer time or after a cut.
        likeness_jump: a face whose likeness falls below this from one frame to the next has become another person's.
    """

    presence: float = 0.5
    people: int | None = None
    search_every: int = 5
    tiles_every: int = 25
    patience: int = 25
    likeness_near: float = 0.55
    likeness_far: float = 0.85
    likeness_jump: float = 0.35

    def __post_init__(self) -> None:
        if not 0 < self.presence < 1:
            raise OptionError(f"presence={self.presence} is not between 0 and 1.")
        if self.people is not None and self.people < 1:
            raise OptionError(f"people={self.people} is too few; leave it out for no limit.")
        if min(self.search_every, self.tiles_every) < 1 or self.patience < 0:
            raise OptionError("search_every and tiles_every are at least 1 frame, patience at least 0.")


@dataclass(frozen=True, kw_only=True)
class FrameFaces:
    """The faces of one frame, by rising track number."""

    number: int
    faces: list[Face]


class NumberedFrame(Protocol):
    """What :func:`track_faces` reads of a frame."""

    number: int

    def view(self) -> np.ndarray:
        """(H, W, 3) float32 RGB, display-encoded."""
        ...


@dataclass(kw_only=True)
class _Person:
    """Somebody seen in this clip."""

    number: int
    mesh: np.ndarray
    seen: int
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))
    gallery: Gallery = field(default_factory=Gallery)
    shot: int = 0

    @property
    def centre(self) -> np.ndarray:
        return _centre(self.mesh)

    @property
    def width(self) -> float:
        return _width(self.mesh)

    def predict(self, index: int) -> np.ndarray:
        """Where the middle of the face would be at a frame, if it went on; it slows down as it is longer out of sight."""
        frames = index - self.seen
        return self.centre + self.velocity * min(frames, 4)


@dataclass(kw_only=True)
class _Seen:
    """A mesh measured in this frame."""

    mesh: np.ndarray
    presence: float
    look: np.ndarray


class FaceTracker:
    """Follows the people of one clip, frame after frame; it keeps nothing but their last mesh and a few looks.

    The mesh's region follows the mesh of the frame before; the detector is asked only at the start, after a cut, when a
    face was lost and now and then for newcomers. The same pictures in the same order give the same faces.

    Args:
        detector: finds newcomers.
        model: measures the meshes.
        options: see :class:`TrackerOptions`.
    """

    def __init__(self, detector: FaceDetector, model: LandmarkModel, options: TrackerOptions | None = None) -> None:
        self._detector = detector
        self._model = model
        self._options = options or TrackerOptions()
        self._cuts = CutFinder()
        self._index = -1
        self._shot = 0
        self._live: list[_Person] = []
        self._lost: list[_Person] = []
        self._num_people = 0

    def step(self, picture: np.ndarray) -> list[Face]:
        """The next picture's faces, by rising track number.

        Args:
            picture: (H, W, 3) uint8 RGB, display-encoded.

        Raises:
            FaceError: not an 8-bit RGB picture, or one smaller than 16 pixels.
        """
        self._index += 1
        if self._cuts.step(picture):
            self._shot += 1
            self._lose(self._live)
        presences = self._follow(picture)
        if self._must_search():
            presences |= self._search(picture)
        size = (picture.shape[1], picture.shape[0])
        return [
            make_face(person.mesh, presences[person.number], size, track=person.number, has_iris=self._model.has_iris)
            for person in sorted(self._live, key=lambda person: person.number)
        ]

    def _follow(self, picture: np.ndarray) -> dict[int, float]:
        """Measure everybody where they should be now; returns presence by number."""
        if not self._live:
            return {}
        rois = []
        for person in self._live:
            roi = roi_from_landmarks(person.mesh)
            roi[:2] += person.velocity
            rois.append(roi)
        seen = self._measure(picture, np.array(rois))
        kept: list[tuple[_Person, _Seen]] = []
        for person, found in zip(list(self._live), seen, strict=True):
            usual = person.gallery.likeness(found.look)
            if (
                found.presence < self._options.presence
                or usual < self._options.likeness_jump
                or not _sane(person, found)
            ):
                self._lose([person])
            else:
                kept.append((person, found))
        kept = self._settle_conflicts(kept)
        kept = _undo_exchanges(kept)
        for person, found in kept:
            self._update(person, found, [other.mesh for _, other in kept if other is not found])
        return {person.number: found.presence for person, found in kept}

    def _settle_conflicts(self, kept: list[tuple[_Person, _Seen]]) -> list[tuple[_Person, _Seen]]:
        """Where two people's meshes have come to lie on one face, it is the one's whose look it has; the other is lost."""
        by_likeness = sorted(kept, key=lambda pair: -pair[0].gallery.likeness(pair[1].look))
        winners: list[tuple[_Person, _Seen]] = []
        for person, found in by_likeness:
            if any(_same_place(found.mesh, other.mesh) for _, other in winners):
                self._lose([person])
            else:
                winners.append((person, found))
        return winners

    def _must_search(self) -> bool:
        options = self._options
        if options.people is not None and len(self._live) >= options.people:
            return False
        missing = any(self._index - person.seen <= options.patience for person in self._lost)
        return missing or not self._live or self._index % options.search_every == 0

    def _search(self, picture: np.ndarray) -> dict[int, float]:
        """Look for newcomers and lost ones; returns presence by number."""
        with_tiles = self._index % self._options.tiles_every == 0 or (not self._live and self._index % 3 == 0)
        tiles = self._detector.tiles if with_tiles else "none"
        detections = [found for found in self._detector.detect([picture], tiles=tiles)[0] if not self._is_known(found)]
        if not detections:
            return {}
        rois = np.array([roi_from_detection(detection) for detection in detections])
        first = [
            found for found in self._measure(picture, rois, looks=False) if found.presence >= self._options.presence
        ]
        if not first:
            return {}
        newcomers = self._measure(picture, np.array([roi_from_landmarks(found.mesh) for found in first]))
        presences = {}
        for found in sorted(newcomers, key=lambda found: -_width(found.mesh)):
            if found.presence < min(self._options.presence + 0.2, 0.95):
                continue
            if any(_same_place(found.mesh, person.mesh) for person in self._live):
                continue
            if self._options.people is not None and len(self._live) >= self._options.people:
                break
            person = self._recognise(found) or self._welcome(found)
            self._update(person, found, [other.mesh for other in self._live if other is not person])
            presences[person.number] = found.presence
        return presences

    def _recognise(self, found: _Seen) -> _Person | None:
        """The lost person whom a newcomer is, if any."""
        best, best_score = None, 0.0
        # Somebody coming out from behind another face does not look like themselves yet; the place tells more.
        emerging = any(box_overlap(_box(found.mesh), _box(person.mesh)[None])[0] > 0.02 for person in self._live)
        for person in self._lost:
            gap = self._index - person.seen
            score = person.gallery.likeness(found.look)
            distance = float(np.linalg.norm(_centre(found.mesh) - person.predict(self._index))) / person.width
            least = self._options.likeness_far
            if person.shot == self._shot and gap <= self._options.patience and distance < 0.5 + 0.15 * gap:
                score += 0.25 * max(0.0, 1.0 - distance / 2)
                least = self._options.likeness_near - (0.15 if emerging else 0.0)
            if score >= least and score > best_score:
                best, best_score = person, score
        if best is not None:
            self._lost.remove(best)
            self._live.append(best)
            best.velocity = np.zeros(2)
        return best

    def _welcome(self, found: _Seen) -> _Person:
        person = _Person(number=self._num_people, mesh=found.mesh, seen=self._index)
        person.gallery.add(found.look)
        self._num_people += 1
        self._live.append(person)
        return person

    def _update(self, person: _Person, found: _Seen, others: list[np.ndarray]) -> None:
        if person.seen == self._index - 1:
            # Half of the new velocity: a single bad measurement must not throw the next region off.
            person.velocity = 0.5 * person.velocity + 0.5 * (_centre(found.mesh) - person.centre)
        person.mesh, person.seen, person.shot = found.mesh, self._index, self._shot
        # Faces that touch may be seen through each other: such a look would teach a gallery the wrong person.
        if not any(box_overlap(_box(found.mesh), _box(mesh)[None])[0] > 0.02 for mesh in others):
            person.gallery.add(found.look)

    def _measure(self, picture: np.ndarray, rois: np.ndarray, *, looks: bool = True) -> list[_Seen]:
        meshes, presences = self._model.landmarks(picture, rois)
        return [
            _Seen(mesh=mesh, presence=float(presence), look=describe(picture, mesh) if looks else NO_LOOK)
            for mesh, presence in zip(meshes, presences, strict=True)
        ]

    def _lose(self, people: list[_Person]) -> None:
        for person in list(people):
            self._live.remove(person)
            self._lost.append(person)

    def _is_known(self, detection: Detection) -> bool:
        middle = (detection.box[:2] + detection.box[2:]) / 2
        boxes = [_box(person.mesh) for person in self._live]
        return any(
            box_overlap(detection.box, box[None])[0] > 0.3
            or bool((middle > box[:2]).all() and (middle < box[2:]).all())
            for box in boxes
        )


def track_faces(
    clip: Iterable[NumberedFrame],
    detector: FaceDetector,
    model: LandmarkModel,
    *,
    progress: Progress = lambda stage, done, total: None,
    people: int | None = None,
) -> Iterator[FrameFaces]:
    """Follow the faces of a clip; streams, whatever the clip's length.

    Args:
        clip: frames in order, each with ``number`` and ``view()``.
        progress: called with ("track", frames done, frames in all where known).
        people: at most so many people at a time.
    """
    from understudy.faces.landmarks import eight_bit

    tracker = FaceTracker(detector, model, TrackerOptions(people=people))
    total = len(clip) if hasattr(clip, "__len__") else None  # type: ignore[arg-type]
    for done, frame in enumerate(clip, 1):
        yield FrameFaces(number=frame.number, faces=tracker.step(eight_bit(frame.view())))
        progress("track", done, total)


def _undo_exchanges(kept: list[tuple[_Person, _Seen]]) -> list[tuple[_Person, _Seen]]:
    """Two people who have just passed each other may have swapped regions: go by their looks where these are plain."""
    for first in range(len(kept)):
        for second in range(first + 1, len(kept)):
            (one, seen_one), (two, seen_two) = kept[first], kept[second]
            near = np.linalg.norm(_centre(seen_one.mesh) - _centre(seen_two.mesh)) < 2.0 * max(one.width, two.width)
            as_they_are = one.gallery.likeness(seen_one.look) + two.gallery.likeness(seen_two.look)
            exchanged = one.gallery.likeness(seen_two.look) + two.gallery.likeness(seen_one.look)
            if near and exchanged > as_they_are + 0.3:
                kept[first], kept[second] = (one, seen_two), (two, seen_one)
                one.velocity, two.velocity = two.velocity, one.velocity
                one.mesh, two.mesh = two.mesh, one.mesh
    return kept


def _sane(person: _Person, found: _Seen) -> bool:
    """The mesh is a face's, and the face has neither jumped nor changed its size as no head can."""
    ratio = _width(found.mesh) / person.width
    moved = float(np.linalg.norm(_centre(found.mesh) - person.centre)) / person.width
    return 0.6 < ratio < 1.7 and moved < 1.0 and fit_mesh(found.mesh).residual < 0.08


def _same_place(first: np.ndarray, second: np.ndarray) -> bool:
    distance = float(np.linalg.norm(_centre(first) - _centre(second)))
    return distance < 0.35 * max(_width(first), _width(second))


def _centre(mesh: np.ndarray) -> np.ndarray:
    return mesh[:468, :2].mean(axis=0).astype(np.float64)


def _width(mesh: np.ndarray) -> float:
    # In three dimensions, from ear to ear: turning the head changes it little.
    return max(float(np.linalg.norm(mesh[234] - mesh[454])), 1e-3)


def _box(mesh: np.ndarray) -> np.ndarray:
    return np.concatenate([mesh[:468, :2].min(axis=0), mesh[:468, :2].max(axis=0)])
