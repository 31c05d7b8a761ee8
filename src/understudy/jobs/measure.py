"""How near a swapped shot comes to the truth: SSIM, PSNR, LPIPS, identity and flicker, beside what doing nothing would
give.

Three candidates are measured alike. The *swap*; the *plate* left as it is (the right performance, the wrong person);
and the *neighbour* swap of the paper's Fig. 14: for every frame the training picture of the identity that is nearest
to the generated face in L2 over the face area, laid in by the same blend. The truth is the identity really giving this
performance; it can be had for rendered performers only. Without it, only identity is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from understudy.errors import DatasetError, MediaError, OptionError

if TYPE_CHECKING:
    from understudy.dataset.face_set import FaceEntry
    from understudy.faces.align import CropTransform
    from understudy.faces.face import Face
    from understudy.jobs.clip_faces import ClipFaces, TrackedFace
    from understudy.jobs.project import Project
    from understudy.media.clip import Clip

Progress = Callable[[str, int, int | None], None]

MEASURES = {
    "ssim": ("SSIM", "", "higher"),
    "psnr": ("PSNR", "dB", "higher"),
    "lpips": ("LPIPS (squeeze)", "", "lower"),
    "identity": ("identity similarity", "cosine", "higher"),
    "flicker": ("flicker", "% of range", "lower"),
}
"""Of every measure: name, unit, and which way is better."""

_PORTRAITS = 24  # pictures of the identity whose mean embedding stands for the person
_BATCH = 8


@dataclass(frozen=True, kw_only=True)
class MeasureOptions:
    """Options of :func:`measure`."""

    swap: Path = field(metadata={"help": "The swapped shot."})
    plate: Path = field(metadata={"help": "The plate it was made from."})
    identity: str = field(metadata={"help": "Who is seen in the swap; needs gathered faces."})
    truth: Path | None = field(
        default=None, metadata={"help": "The same shot really given by the identity (rendered performers only)."}
    )
    project: Path | None = field(default=None, metadata={"help": "Project folder; default: the one around you."})
    run: str | None = field(
        default=None,
        metadata={"help": "The run whose model made the swap; with it, the nearest-neighbour swap is measured too."},
    )
    size: int = field(default=128, metadata={"help": "Side of the canonical crop that is measured, pixels."})
    every: int = field(default=1, metadata={"help": "Measure every Nth frame; flicker wants 1."})


@dataclass(frozen=True, kw_only=True)
class MeasureReport:
    """Means and frames of every measure, inside the face mask at the canonical crop."""

    swap: Path
    plate: Path
    truth: Path | None
    identity: str
    size: int
    """Side of the crop, pixels."""
    numbers: tuple[int, ...]
    """The frames measured, the plate's numbers."""
    scores: dict[str, dict[str, float]]
    """Candidate ("swap", "plate", "neighbour", and "truth" for identity) -> measure -> mean over the frames."""
    per_frame: dict[str, dict[str, list[float]]]
    """The same, one value a frame; flicker has none for the first."""
    neighbours: dict[str, Any] | None
    """How the nearest-neighbour swap went: distances, how many different pictures were used, how often it jumped."""
    missing: tuple[str, ...]
    """A sentence for every measure that could not be taken."""


def measure(options: MeasureOptions, progress: Progress = lambda stage, done, total: None) -> MeasureReport:
    """Measure a swapped shot; see :class:`MeasureReport`.

    Raises:
        MediaError: a clip cannot be read, or the clips do not have the same frames and size.
        DatasetError: the identity has no gathered faces.
        OptionError: a number that cannot be used.
    """
    from understudy.jobs.project import find_project
    from understudy.media.clip import open_clip
    from understudy.metrics.identity import missing_identity
    from understudy.metrics.lpips import missing_lpips

    if options.every < 1 or options.size < 32:
        raise OptionError("--every must be 1 or more, and --size 32 or more.")
    project = find_project(options.project)
    missing = [sentence for sentence in (options.truth and missing_lpips(), missing_identity()) if sentence]
    folder = project.faces(options.identity)
    scale = _Scale(
        None if missing_identity() else _person(folder, options.size),
        lpips=options.truth is not None and not missing_lpips(),
    )
    neighbour = _Neighbour(options, project) if options.run else None
    truth_path = options.truth or options.plate
    with (
        plate_person(options.plate, project, progress) as person,
        open_clip(options.swap) as swap,
        open_clip(options.plate) as plate,
        open_clip(truth_path) as truth,
    ):
        _same_frames(swap, plate, truth)
        for done, batch in _Side(plate=plate, swap=swap, truth=truth, every=options.every).batches(person):
            progress("measure", done, len(plate))
            for frame in batch:
                frame.cut(options.size)
            if neighbour is not None:
                neighbour.lay_in(batch, options.size)
            for frame in batch:
                scale.add(frame, has_truth=options.truth is not None)
        progress("measure", len(plate), len(plate))
    if not scale.numbers:
        raise MediaError(f"{options.plate} has no frame with a face that could be measured.")
    return MeasureReport(
        swap=options.swap,
        plate=options.plate,
        truth=options.truth,
        identity=options.identity,
        size=options.size,
        numbers=tuple(scale.numbers),
        scores=scale.means(),
        per_frame=scale.values,
        neighbours=neighbour.summary() if neighbour else None,
        missing=tuple(missing),
    )


@dataclass
class _Frame:
    """One frame's candidates, in view space, and where its face is."""

    number: int
    views: dict[str, np.ndarray]
    face: Face
    transform: CropTransform
    crops: dict[str, np.ndarray] = field(default_factory=dict)
    mask: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def cut(self, size: int) -> None:
        """The canonical crops at ``size`` pixels, clipped to [0, 1], and the mask from the plate's face."""
        from understudy.faces.parse import face_mask

        for name, view in self.views.items():
            self.crops[name] = np.clip(self.transform.to_crop(view, size), 0, 1)
        self.mask = face_mask(self.transform.points_to_crop(self.face.landmarks, size), size)

    def landmarks(self, size: int) -> np.ndarray:
        return self.transform.points_to_crop(self.face.landmarks, size)


@dataclass(kw_only=True)
class _Side:
    """The frames to measure, read side by side."""

    plate: Clip
    swap: Clip
    truth: Clip
    every: int

    def batches(self, person: PlatePerson) -> Iterator[tuple[int, list[_Frame]]]:
        """(frames read so far, frames with a face), a few at a time, so that memory does not grow with the clip."""
        batch: list[_Frame] = []
        done = -1
        for done, frames in enumerate(zip(self.plate, self.swap, self.truth, strict=True)):
            plate, swap, truth = frames
            if len({frame.number for frame in frames}) > 1 and self.plate.kind == self.swap.kind:
                raise MediaError(f"{self.swap.source} has frame {swap.number} where the plate has {plate.number}.")
            found = person.face(plate.number) if done % self.every == 0 else None
            if found is None:
                continue
            views = {"swap": swap.view(), "plate": plate.view(), "truth": truth.view()}
            batch.append(_Frame(number=plate.number, views=views, face=found.face, transform=found.transform))
            if len(batch) == _BATCH:
                yield done + 1, batch
                batch = []
        if batch:
            yield done + 1, batch


def load_portraits(
    folder: Path, size: int, *, most: int | None = None
) -> tuple[list[FaceEntry], np.ndarray, np.ndarray]:
    """A face set's pictures at ``size``: entries, pictures (N, size, size, 3) uint8, masks (N, size, size) float32.

    ``most`` takes that many, spread evenly over the set.

    Raises:
        DatasetError: no face set there, or it is empty.
    """
    from understudy.dataset.face_set import FaceSet

    with FaceSet.open(folder) as face_set:
        entries = face_set.entries()
        if not entries:
            raise DatasetError(f"{folder} holds no pictures; gather footage of this identity first.")
        if most is not None:
            entries = [entries[place] for place in np.unique(np.linspace(0, len(entries) - 1, most).astype(int))]
        pictures = np.empty((len(entries), size, size, 3), np.uint8)
        masks = np.empty((len(entries), size, size), np.float32)
        for place, entry in enumerate(entries):
            picture, masks[place] = face_set.load(entry, size)
            pictures[place] = np.round(np.clip(picture, 0, 1) * 255)
    return entries, pictures, masks


class PlatePerson:
    """The person of a plate who fills most of it: where their face is in every frame."""

    def __init__(self, faces: ClipFaces) -> None:
        from understudy.jobs.people import people_of

        self._faces = faces
        people = people_of(faces)
        self._tracks = people[0].tracks if people else ()

    def face(self, number: int) -> TrackedFace | None:
        """The face in a frame, None where it was not found."""
        return self._faces.face(number, self._tracks)


@contextmanager
def plate_person(
    plate: Path, project: Project, progress: Progress = lambda stage, done, total: None
) -> Iterator[PlatePerson]:
    """The plate's faces, read from the project's cache where gathering or swapping left them."""
    from understudy.jobs.track import track_clip
    from understudy.media.clip import open_clip

    with open_clip(plate) as clip, track_clip(clip, cache=project.tracks, progress=progress) as faces:
        yield PlatePerson(faces)


def _person(folder: Path, size: int) -> np.ndarray:
    """What the identity looks like to the identity network: the mean embedding of some of its pictures."""
    from understudy.dataset.face_set import FaceSet
    from understudy.metrics.identity import embed, mean_embedding

    entries, pictures, _ = load_portraits(folder, size, most=_PORTRAITS)
    with FaceSet.open(folder) as face_set:
        scale = size / face_set.size
    embeddings = [
        embed(picture / np.float32(255), entry.landmarks * scale)
        for entry, picture in zip(entries, pictures, strict=True)
    ]
    return mean_embedding(np.stack(embeddings))


def _same_frames(swap: Clip, plate: Clip, truth: Clip) -> None:
    for other in (swap, truth):
        if other.size != plate.size or len(other) != len(plate):
            sizes = [f"{len(clip)} frames of {clip.size[0]} x {clip.size[1]}" for clip in (other, plate)]
            raise MediaError(
                f"{other.source} has {sizes[0]}, the plate {plate.source} has {sizes[1]}; "
                "only shots of the same frames can be compared."
            )


class _Scale:
    """Collects the measures."""

    def __init__(self, person: np.ndarray | None, *, lpips: bool) -> None:
        self.person, self.lpips = person, lpips
        self.numbers: list[int] = []
        self.values: dict[str, dict[str, list[float]]] = {}
        self.previous: _Frame | None = None

    def add(self, frame: _Frame, *, has_truth: bool) -> None:
        """Measure every candidate of a frame."""
        from understudy.metrics.flicker import flicker
        from understudy.metrics.identity import embed, similarity
        from understudy.metrics.lpips import lpips
        from understudy.metrics.psnr import psnr
        from understudy.metrics.ssim import ssim

        self.numbers.append(frame.number)
        truth, before = frame.crops["truth"], self.previous
        for name, crop in frame.crops.items():
            if self.person is not None and (name != "truth" or has_truth):
                # At the crop's size, so that every candidate is seen at the same resolution.
                self._keep(name, "identity", similarity(embed(crop, frame.landmarks(crop.shape[0])), self.person))
            if name == "truth" or not has_truth:
                continue
            self._keep(name, "ssim", ssim(crop, truth, mask=frame.mask))
            self._keep(name, "psnr", psnr(crop, truth, mask=frame.mask))
            if self.lpips:
                self._keep(name, "lpips", lpips(crop, truth, mask=frame.mask))
            if before is not None and name in before.crops:
                value = flicker(crop, before.crops[name], truth, before.crops["truth"], mask=frame.mask * before.mask)
                self._keep(name, "flicker", value)
        frame.views = {}
        self.previous = frame

    def means(self) -> dict[str, dict[str, float]]:
        return {
            name: {measure: float(np.mean(values)) for measure, values in measures.items()}
            for name, measures in self.values.items()
        }

    def _keep(self, name: str, measure: str, value: float) -> None:
        self.values.setdefault(name, {}).setdefault(measure, []).append(value)


class _Neighbour:
    """The paper's nearest-neighbour swap."""

    def __init__(self, options: MeasureOptions, project: Project) -> None:
        from understudy.jobs.inspect import open_run

        _, self.performer = open_run(project, options.run)
        self.identity = options.identity
        entries, self.pictures, _ = load_portraits(project.faces(options.identity), self.performer.size)
        self.names = [entry.name for entry in entries]
        self.numbers = [entry.number for entry in entries]
        self.used: list[int] = []
        self.distances: list[float] = []

    def lay_in(self, frames: list[_Frame], size: int) -> None:
        """Find every frame's neighbour, composite it as the generated face would be, and cut its crop."""
        from understudy.composite.face import composite_face
        from understudy.faces.parse import face_mask
        from understudy.metrics.nearest import distances

        side = self.performer.size
        plates = np.stack([np.clip(frame.transform.to_crop(frame.views["plate"], side), 0, 1) for frame in frames])
        generated = self.performer.swap(plates.astype(np.float32), self.identity)
        for place, frame in enumerate(frames):
            mask = face_mask(frame.transform.points_to_crop(frame.face.landmarks, side), side)
            found = distances(generated.crops[place], self.pictures, mask)
            nearest = int(np.argmin(found))
            self.used.append(nearest)
            self.distances.append(float(found[nearest]))
            picture = self.pictures[nearest].astype(np.float32) / np.float32(255)
            matte = generated.mattes[place] if generated.mattes is not None else None
            view, _ = composite_face(frame.views["plate"], picture, matte, frame.transform, frame.face.landmarks)
            frame.crops["neighbour"] = np.clip(frame.transform.to_crop(view, size), 0, 1)

    def summary(self) -> dict[str, Any]:
        """Distances are root mean square differences over the face area, the range being 1."""
        changes = [abs(self.numbers[b] - self.numbers[a]) for a, b in zip(self.used, self.used[1:], strict=False)]
        return {
            "training_pictures": len(self.names),
            "pictures_used": len(set(self.used)),
            "mean_distance": float(np.mean(self.distances)),
            "jumps": sum(change > 1 for change in changes),
            "steps": len(changes),
            "names": [self.names[place] for place in self.used],
        }
