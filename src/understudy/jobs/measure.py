"""How near a swapped shot comes to the truth: SSIM, PSNR, LPIPS, identity and flicker, beside what doing nothing would
give.

Three candidates are measured alike. The *swap*; the *plate* left as it is (the right performance, the wrong person);
and the *neighbour* swap of the paper's Fig. 14: for every frame the training picture of the identity that is nearest
to the generated face in L2 over the face area, laid in by the same blend. The truth is the identity really giving this
performance; it can be had for rendered performers only. Without it, only identity is measured.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from understudy.errors import DatasetError, MediaError, OptionError

if TYPE_CHECKING:
    from understudy.dataset.face_set import FaceEntry
    from understudy.faces.face import Face
    from understudy.family import Performer, SwapResult
    from understudy.jobs.clip_faces import ClipFaces, TrackedFace
    from understudy.jobs.measure_scale import FrameCrops
    from understudy.jobs.project import Project
    from understudy.jobs.track import FaceFinder
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
    keep: Path | None = field(default=None, metadata={"help": "Keep the nearest-neighbour swap in this folder."})
    size: int = field(default=128, metadata={"help": "Side of the canonical crop that is measured, pixels."})
    every: int = field(default=1, metadata={"help": "Measure every Nth frame; flicker wants 1."})

    def __post_init__(self) -> None:
        if self.every < 1 or self.size < 32:
            raise OptionError("--every must be 1 or more, and --size 32 or more.")


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
    jitter: dict[str, float]
    """Candidate -> shake of the face's landmarks as measured in that clip, plate pixels."""
    neighbours: dict[str, Any] | None
    """How the nearest-neighbour swap went: distances, how many different pictures were used, how often it jumped."""
    missing: tuple[str, ...]
    """A sentence for every measure that could not be taken."""


def measure(
    options: MeasureOptions,
    progress: Progress = lambda stage, done, total: None,
    *,
    finder: FaceFinder | None = None,
) -> MeasureReport:
    """Measure a swapped shot; see :class:`MeasureReport`. ``finder`` is what finds faces, None for MediaPipe's models.

    Raises:
        MediaError: a clip cannot be read, or the clips do not have the same frames and size.
        DatasetError: the identity has no gathered faces.
        OptionError: a number that cannot be used.
    """
    from understudy.jobs.measure_scale import Scale
    from understudy.jobs.project import find_project
    from understudy.metrics.identity import missing_identity
    from understudy.metrics.lpips import missing_lpips

    project = find_project(options.project)
    missing = [sentence for sentence in (options.truth and missing_lpips(), missing_identity()) if sentence]
    scale = Scale(
        options.every,
        None if missing_identity() else person_embedding(project.faces(options.identity), options.size),
        lpips=options.truth is not None and not missing_lpips(),
    )
    with open_shot(options, project, progress, finder=finder) as shot:
        for frame in shot.measured(progress):
            scale.add(frame)
        jitter = {name: track_jitter(shot.tracks(name, project, progress, finder=finder)) for name in shot.seen}
        neighbours = shot.neighbours
    return MeasureReport(
        swap=options.swap,
        plate=options.plate,
        truth=options.truth,
        identity=options.identity,
        size=options.size,
        numbers=tuple(scale.numbers),
        scores=scale.means(),
        per_frame=scale.per_frame(),
        jitter=jitter,
        neighbours=neighbours,
        missing=tuple(missing),
    )


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
    plate: Path,
    project: Project,
    progress: Progress = lambda stage, done, total: None,
    *,
    finder: FaceFinder | None = None,
) -> Iterator[PlatePerson]:
    """The plate's faces, read from the project's cache where gathering or swapping left them."""
    from understudy.jobs.track import track_clip
    from understudy.media.clip import open_clip

    with open_clip(plate) as clip, track_clip(clip, finder=finder, cache=project.tracks, progress=progress) as faces:
        yield PlatePerson(faces)


def embed_portraits(folder: Path, size: int, *, most: int = _PORTRAITS) -> np.ndarray:
    """Embeddings (N, 128) of at most so many of a face set's pictures, seen at ``size`` pixels.

    Raises:
        DatasetError: no face set there, or it is empty.
        WeightsError: the identity network is not at hand.
    """
    from understudy.dataset.face_set import FaceSet
    from understudy.metrics.identity import embed

    entries, pictures, _ = load_portraits(folder, size, most=most)
    with FaceSet.open(folder) as face_set:
        scale = size / face_set.size
    pairs = zip(entries, pictures, strict=True)
    return np.stack([embed(picture / np.float32(255), entry.landmarks * scale) for entry, picture in pairs])


def person_embedding(folder: Path, size: int) -> np.ndarray:
    """What an identity looks like to the identity network: the mean embedding of some of its pictures."""
    from understudy.metrics.identity import mean_embedding

    return mean_embedding(embed_portraits(folder, size))


@dataclass(kw_only=True)
class Shot:
    """A swapped shot and what it is compared with, opened side by side.

    Attributes:
        clips: candidate -> its clip; "swap", "plate", "truth" (the plate again where there is none), maybe "neighbour".
        has_truth: whether "truth" is one.
        person: who is measured.
        neighbours: how the nearest-neighbour swap went, None where it was not asked for.
    """

    clips: dict[str, Clip]
    has_truth: bool
    person: PlatePerson
    neighbours: dict[str, Any] | None
    options: MeasureOptions

    @property
    def seen(self) -> list[str]:
        """The candidates that were really given."""
        return [name for name in self.clips if name != "truth" or self.has_truth]

    def measured(self, progress: Progress) -> Iterator[FrameCrops]:
        """Every Nth frame in which the plate's person has a face; one is held at a time.

        Raises:
            MediaError: there is none.
        """
        from understudy.jobs.measure_scale import FrameCrops

        plate, any_found = self.clips["plate"], False
        for done, frames in enumerate(zip(*self.clips.values(), strict=True)):
            progress("measure", done, len(plate))
            number = frames[list(self.clips).index("plate")].number
            found = self.person.face(number) if done % self.options.every == 0 else None
            if found is not None:
                any_found = True
                yield FrameCrops.cut(
                    number,
                    dict(zip(self.clips, frames, strict=True)),
                    found,
                    self.options.size,
                    has_truth=self.has_truth,
                )
        progress("measure", len(plate), len(plate))
        if not any_found:
            raise MediaError(f"{self.options.plate} has no frame with a face that could be measured.")

    def tracks(
        self, name: str, project: Project, progress: Progress, *, finder: FaceFinder | None = None
    ) -> dict[int, Face]:
        """The main person's face in every frame of a candidate, measured once and nothing smoothed."""
        from understudy.jobs.options_track import TrackOptions
        from understudy.jobs.track import track_clip

        plainly = TrackOptions(stabilise=False, smooth=False)
        clip = self.clips[name]
        with track_clip(clip, options=plainly, finder=finder, cache=project.tracks, progress=progress) as faces:
            person = PlatePerson(faces)
            found = ((number, person.face(number)) for number in faces.numbers)
            return {number: tracked.face for number, tracked in found if tracked is not None}


@contextmanager
def open_shot(
    options: MeasureOptions, project: Project, progress: Progress, *, finder: FaceFinder | None = None
) -> Iterator[Shot]:
    """Open the clips of a shot, and make the nearest-neighbour swap where ``options.run`` asks for it.

    Raises:
        MediaError: a clip cannot be read, or the clips do not have the same frames and size.
        OptionError, CheckpointError: no such run.
    """
    from understudy.media.clip import open_clip

    neighbours = None
    with ExitStack() as stack:
        person = stack.enter_context(plate_person(options.plate, project, progress, finder=finder))
        sources = {"swap": options.swap, "plate": options.plate, "truth": options.truth or options.plate}
        if options.run:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="understudy-")))
            sources["neighbour"], neighbours = _neighbour_swap(
                options, project, options.keep or scratch, progress, finder
            )
        clips = {name: stack.enter_context(open_clip(source)) for name, source in sources.items()}
        _same_frames(clips)
        has_truth = options.truth is not None
        yield Shot(clips=clips, has_truth=has_truth, person=person, neighbours=neighbours, options=options)


def track_jitter(faces: Mapping[int, Face]) -> float:
    """Shake of a face by frame number, plate pixels; not-a-number where it is seen in fewer than five frames."""
    from understudy.metrics.jitter import landmark_jitter

    if len(faces) < 5:
        return float("nan")
    return landmark_jitter(np.stack([face.landmarks for face in faces.values()]), list(faces))


def _same_frames(clips: dict[str, Clip]) -> None:
    plate = clips["plate"]
    for other in clips.values():
        if other.size != plate.size or len(other) != len(plate):
            sizes = [f"{len(clip)} frames of {clip.size[0]} x {clip.size[1]}" for clip in (other, plate)]
            raise MediaError(
                f"{other.source} has {sizes[0]}, the plate {plate.source} has {sizes[1]}; "
                "only shots of the same frames can be compared."
            )


class NeighbourPerformer:
    """The paper's nearest-neighbour swap as a performer: what it answers is the training picture nearest to what the model would.

    The face area is the mean of the training masks, since every crop is aligned alike.
    """

    def __init__(self, performer: Performer, folder: Path) -> None:
        self.performer = performer
        self.identities, self.size = performer.identities, performer.size
        entries, self.pictures, masks = load_portraits(folder, performer.size)
        self.mask = masks.mean(axis=0)
        self.names = [entry.name for entry in entries]
        self.numbers = [entry.number for entry in entries]
        self.used: list[int] = []
        self.distances: list[float] = []

    def swap(self, crops: np.ndarray, identity: str) -> SwapResult:
        """(B, size, size, 3) float32 in [0, 1] -> for each the nearest training picture, and no matte of its own."""
        from understudy.family import SwapResult
        from understudy.metrics.nearest import distances

        answers = []
        for face in self.performer.swap(crops, identity).crops:
            found = distances(face, self.pictures, self.mask)
            nearest = int(np.argmin(found))
            self.used.append(nearest)
            self.distances.append(float(found[nearest]))
            answers.append(self.pictures[nearest].astype(np.float32) / np.float32(255))
        return SwapResult(crops=np.stack(answers))

    def summary(self, frames: int) -> dict[str, Any]:
        """Of the first ``frames`` swaps; distances are root mean square over the face area, the range being 1."""
        used = self.used[:frames]
        changes = [abs(self.numbers[b] - self.numbers[a]) for a, b in zip(used, used[1:], strict=False)]
        return {
            "training_pictures": len(self.names),
            "pictures_used": len(set(used)),
            "mean_distance": float(np.mean(self.distances[:frames])),
            "jumps": sum(change > 1 for change in changes),
            "steps": len(changes),
            "names": [self.names[place] for place in used],
        }


def _neighbour_swap(
    options: MeasureOptions, project: Project, folder: Path, progress: Progress, finder: FaceFinder | None
) -> tuple[Path, dict[str, Any]]:
    """Make the nearest-neighbour swap as the swap itself was made, but for the faces; real pictures need no detail added."""
    from understudy.composite.options import CompositeOptions
    from understudy.jobs.inspect import open_run
    from understudy.jobs.options_swap import SwapOptions
    from understudy.jobs.shot import swap_shot

    model, performer = open_run(project, options.run)
    stand_in = NeighbourPerformer(performer, project.faces(options.identity))
    swap = SwapOptions(
        plate=str(options.plate),
        identity=options.identity,
        run=str(model),
        output=folder / options.swap.name,
        project=project.root,
        composite=CompositeOptions(own_detail=0.0),
    )
    report = swap_shot(
        swap,
        lambda stage, done, total: progress(f"neighbour {stage}", done, total),
        performer=stand_in,
        finder=finder,
    )
    return report.output, stand_in.summary(report.made)
