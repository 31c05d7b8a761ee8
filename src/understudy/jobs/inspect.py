"""Looking into a trained comb, as the paper's appendix does: latent paths, nearest training pictures, and the latents'
map.

Fig. 15: two pictures of one person are encoded, nine points of the straight path between their latents are decoded by
every identity. Fig. 16: the same with two pictures of somebody whom the model never saw. Fig. 14: generated faces
beside the nearest training pictures. The map of the latents is ours; it puts a number on the paper's remark that
latents are "essentially identity-free".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from understudy.errors import CheckpointError, DatasetError, FaceError, OptionError
from understudy.jobs.sheet import Sheet, write_sheet

if TYPE_CHECKING:
    from understudy.dataset.face_set import FaceEntry
    from understudy.faces.face import Face
    from understudy.jobs.clip_faces import TrackedFace
    from understudy.jobs.project import Project
    from understudy.jobs.track import FaceFinder

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class InspectOptions:
    """What every inspection asks."""

    project: Path | None = field(default=None, metadata={"help": "Project folder; default: the one around you."})
    run: str | None = field(default=None, metadata={"help": "The run whose model is looked into; default: the newest."})
    output: Path | None = field(
        default=None,
        metadata={"help": "The picture sheet to write (.png or .jpg); default: inside the run, in inspect/."},
    )


@dataclass(frozen=True, kw_only=True)
class InterpolateOptions(InspectOptions):
    """Options of :func:`interpolate`."""

    subjects: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "An identity of the cast, or two picture files: the same as --identity, or as --anchor twice."
        },
    )
    family: str | None = field(
        default=None,
        metadata={
            "help": "A family that animates, such as boundary_vae: two pictures are mixed in appearance and in structure, "
            "one against the other. Default: the path that every identity decodes."
        },
    )
    identity: str | None = field(
        default=None,
        metadata={"help": "Whose training pictures are the two anchors; default: the model's first identity."},
    )
    anchors: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "Two training pictures by name (default: the two farthest apart), or two picture files of anybody."
        },
    )
    identities: tuple[str, ...] = field(
        default=(), metadata={"help": "Who decodes the path; default: up to five identities."}
    )
    steps: int = field(default=9, metadata={"help": "Points on the path, both anchors included; the paper takes nine."})


@dataclass(frozen=True, kw_only=True)
class InterpolateReport:
    """A latent path and how evenly its pictures change."""

    sheet: Path
    model: Path
    anchors: tuple[str, str]
    known: bool
    """Whether the anchors' person is an identity of the model (Fig. 15) or not (Fig. 16)."""
    weights: tuple[float, ...]
    """The values of lambda."""
    steps: dict[str, tuple[float, ...]]
    """Identity -> mean absolute change of the face from each point to the next, per cent of the range."""
    smoothness: dict[str, float]
    """Identity -> largest step over mean step; 1 is perfectly even, a jump is much more."""


@dataclass(frozen=True, kw_only=True)
class NeighboursOptions(InspectOptions):
    """Options of :func:`neighbours`."""

    plate: Path = field(metadata={"help": "Footage whose swaps are compared with the training pictures."})
    identity: str = field(metadata={"help": "The identity that is swapped in, and searched."})
    frames: int = field(default=6, metadata={"help": "How many frames are shown, spread evenly over the clip."})


@dataclass(frozen=True, kw_only=True)
class NeighboursReport:
    """Generated faces and their nearest training pictures."""

    sheet: Path
    model: Path
    frames: tuple[dict[str, Any], ...]
    """Of each: the plate's number, the training picture's name, and their distance: root mean square, range 1."""
    spacing: float
    """Mean distance of a training picture to its own nearest fellow: what "the same expression" measures in this
    set."""


@dataclass(frozen=True, kw_only=True)
class LatentsOptions(InspectOptions):
    """Options of :func:`latents`."""

    pictures: int = field(default=200, metadata={"help": "Pictures of each identity, spread evenly over its set."})


@dataclass(frozen=True, kw_only=True)
class LatentsReport:
    """Where the identities' pictures lie in latent space."""

    sheet: Path
    model: Path
    size: int
    """Numbers in a latent."""
    pictures: dict[str, int]
    explained: tuple[float, float]
    """Share of the variance along the two axes that are drawn."""
    told_apart: float
    """Share of pictures whose identity the nearest class mean tells, the picture itself left out; chance for
    identity-free latents."""
    chance: float


def interpolate(
    options: InterpolateOptions | None = None, progress: Progress = lambda stage, done, total: None
) -> InterpolateReport:
    """Decode the straight path between two latents by every identity: z(l) = (1 - l) z1 + l z2, equation 2.

    With ``options.family`` an animating family: see :func:`understudy.jobs.inspect_grid.interpolate_grid`.

    Raises:
        OptionError: wrong identity, anchors or number of steps.
        DatasetError, CheckpointError, FaceError: no faces, no model, no face in a picture.
    """
    options = _with_subjects(options or InterpolateOptions())
    if not 2 <= options.steps <= 33:
        raise OptionError(f"--steps must lie between 2 and 33; it is {options.steps}.")
    if len(options.anchors) not in (0, 2):
        raise OptionError(f"--anchors takes two pictures; {len(options.anchors)} were given.")
    if options.family is not None and _animates(options.family):
        from understudy.jobs.inspect_grid import interpolate_grid

        return interpolate_grid(options, progress)
    project, run, performer = _open(options)
    identities = _identities(performer, options.identities)
    progress("encode", 0, 2)
    names, pictures, masks, known = _anchors(options, project, performer)
    ends = performer.encode(np.stack(pictures))
    weights = np.linspace(0, 1, options.steps)
    path = (1 - weights)[:, None] * ends[0] + weights[:, None] * ends[1]
    mask = (masks[0] * masks[1])[None, :, :, None]
    decoded, steps, smoothness = {}, {}, {}
    for done, name in enumerate(identities):
        progress("decode", done, len(identities))
        decoded[name] = performer.decode(path.astype(np.float32), name)
        change = np.abs(np.diff(decoded[name], axis=0)) * mask
        steps[name] = tuple(100 * float(step.sum() / (3 * mask.sum())) for step in change)
        smoothness[name] = max(steps[name]) / max(float(np.mean(steps[name])), 1e-9)
    progress("decode", len(identities), len(identities))
    empty = np.ones_like(pictures[0])
    rows = [("anchors", [pictures[0], *[empty] * (options.steps - 2), pictures[1]])]
    rows += [(name, list(faces)) for name, faces in decoded.items()]
    sheet = Sheet(title=f"{names[0]}  to  {names[1]}", columns=[f"{weight:.3f}" for weight in weights], rows=rows)
    where = options.output or run / "inspect" / f"interpolate-{'known' if known else 'stranger'}.png"
    return InterpolateReport(
        sheet=write_sheet(where, sheet),
        model=_model(run),
        anchors=names,
        known=known,
        weights=tuple(float(weight) for weight in weights),
        steps=steps,
        smoothness=smoothness,
    )


def neighbours(
    options: NeighboursOptions,
    progress: Progress = lambda stage, done, total: None,
    *,
    finder: FaceFinder | None = None,
) -> NeighboursReport:
    """Show generated faces beside the training pictures nearest to them in pixel L2 over the face area (Fig. 14).

    ``finder`` is what finds faces, None for MediaPipe's models.

    Raises:
        OptionError: wrong identity or number of frames.
        DatasetError, CheckpointError, FaceError, MediaError: no faces, no model, no face in the plate, unreadable
        plate.
    """
    from understudy.jobs.measure import load_portraits, plate_person
    from understudy.media.clip import open_clip
    from understudy.metrics.nearest import distances

    if not 1 <= options.frames <= 40:
        raise OptionError(f"--frames must lie between 1 and 40; it is {options.frames}.")
    project, run, performer = _open(options)
    (identity,) = _identities(performer, (options.identity,))
    entries, pictures, masks = load_portraits(project.faces(identity), performer.size)
    found, rows = [], []
    with plate_person(options.plate, project, progress, finder=finder) as person, open_clip(options.plate) as clip:
        usable = [number for number in clip.numbers if person.face(number) is not None]
        if not usable:
            raise FaceError(f"{options.plate} has no frame with a usable face.")
        chosen = [usable[int(place)] for place in np.linspace(0, len(usable) - 1, min(options.frames, len(usable)))]
        for done, number in enumerate(chosen):
            progress("neighbours", done, len(chosen))
            tracked = person.face(number)
            assert tracked is not None
            crop, mask = _crop_of(tracked, clip.frame(number).view(), performer.size)
            generated = performer.swap(crop[None], identity).crops[0]
            far = distances(generated, pictures, mask)
            nearest = int(np.argmin(far))
            found.append({"number": number, "picture": entries[nearest].name, "distance": float(far[nearest])})
            difference = np.clip(0.5 + 2 * (generated - pictures[nearest] / 255) * mask[..., None], 0, 1)
            rows.append((crop, generated, pictures[nearest] / np.float32(255), difference))
        progress("neighbours", len(chosen), len(chosen))
    labels = ("plate", "generated", "nearest", "difference x 2")
    sheet = Sheet(
        title=f"{identity} on {options.plate.name}: generated faces and their nearest training pictures",
        columns=[f"{item['number']}: {item['distance']:.3f}" for item in found],
        rows=[(label, [row[place] for row in rows]) for place, label in enumerate(labels)],
    )
    where = options.output or run / "inspect" / f"neighbours-{identity}-{options.plate.stem}.png"
    return NeighboursReport(
        sheet=write_sheet(where, sheet), model=_model(run), frames=tuple(found), spacing=_spacing(pictures, masks)
    )


def latents(
    options: LatentsOptions | None = None, progress: Progress = lambda stage, done, total: None
) -> LatentsReport:
    """Draw every identity's training pictures on the two main axes of latent space, and test how far latents tell
    identities.

    Raises:
        OptionError: fewer than two pictures asked for.
        DatasetError, CheckpointError: no faces, no model.
    """
    from understudy.jobs.measure import load_portraits
    from understudy.jobs.sheet import scatter

    options = options or LatentsOptions()
    if options.pictures < 2:
        raise OptionError(f"--pictures must be 2 or more; it is {options.pictures}.")
    project, run, performer = _open(options)
    groups = {}
    for done, name in enumerate(performer.identities):
        progress("encode", done, len(performer.identities))
        if not project.faces(name).exists():
            continue
        _, pictures, _ = load_portraits(project.faces(name), performer.size, most=options.pictures)
        groups[name] = performer.encode(pictures.astype(np.float32) / np.float32(255))
    progress("encode", len(performer.identities), len(performer.identities))
    if not groups:
        raise DatasetError(f"{project.root} has no gathered faces of {', '.join(performer.identities)}.")
    everything = np.concatenate(list(groups.values()))
    centre = everything.mean(axis=0)
    _, strength, axes = np.linalg.svd(everything - centre, full_matrices=False)
    share = strength**2 / max(float((strength**2).sum()), 1e-12)
    points = {name: (group - centre) @ axes[:2].T for name, group in groups.items()}
    where = options.output or run / "inspect" / "latents.png"
    return LatentsReport(
        sheet=scatter(where, points),
        model=_model(run),
        size=everything.shape[1],
        pictures={name: len(group) for name, group in groups.items()},
        explained=(float(share[0]), float(share[1]) if len(share) > 1 else 0.0),
        told_apart=nearest_mean_accuracy(list(groups.values())),
        chance=max(len(group) for group in groups.values()) / len(everything),
    )


def nearest_mean_accuracy(groups: Sequence[np.ndarray]) -> float:
    """Share of rows whose group's mean, the row itself left out, is nearer than every other group's; groups (N_i,
    D)."""
    if len(groups) < 2:
        return 1.0
    means = np.stack([group.mean(axis=0) for group in groups])
    right = 0
    for place, group in enumerate(groups):
        count = len(group)
        for row in group:
            others = means.copy()
            if count > 1:
                others[place] = (means[place] * count - row) / (count - 1)
            right += int(np.argmin(np.linalg.norm(others - row, axis=1)) == place)
    return right / sum(len(group) for group in groups)


def farthest_pair(latent: np.ndarray) -> tuple[int, int]:
    """The two rows of (N, D) that lie farthest apart."""
    squares = np.square(latent).sum(axis=1)
    distance = squares[:, None] + squares[None] - 2 * latent @ latent.T
    first, second = np.unravel_index(int(np.argmax(distance)), distance.shape)
    return int(min(first, second)), int(max(first, second))


def _with_subjects(options: InterpolateOptions) -> InterpolateOptions:
    subjects = options.subjects
    if not subjects:
        return options
    if len(subjects) == 1:
        if options.identity not in (None, subjects[0]):
            raise OptionError(f"{subjects[0]} and --identity {options.identity} are two; name one of them.")
        return replace(options, subjects=(), identity=subjects[0])
    if options.anchors:
        raise OptionError("Give two pictures by their place or with --anchor, not both.")
    return replace(options, subjects=(), anchors=subjects)


def _animates(family: str) -> bool:
    from understudy import families
    from understudy.family import Task

    return Task.ANIMATE in families.get(family).tasks


def _open(options: InspectOptions) -> tuple[Project, Path, Any]:
    """The project, the run's folder, and its performer, which must show its latents."""
    from understudy.jobs.project import find_project

    project = find_project(options.project)
    run, performer = open_run(project, options.run)
    if not (hasattr(performer, "encode") and hasattr(performer, "decode")):
        raise CheckpointError(f"{_model(run)} is of a family without a latent space, so there is nothing to inspect.")
    return project, run, performer


def open_run(project: Project, name: str | None) -> tuple[Path, Any]:
    """A run's folder and its performer; without a name, the run whose model is newest.

    Raises:
        OptionError, CheckpointError: no such run, or none that is trained.
    """
    from understudy.jobs.train import resolve_checkpoint
    from understudy.perform.swap import open_performer

    if name is not None:
        model = resolve_checkpoint(name, project)
    else:
        models = sorted(project.runs.glob("*/model.safetensors"), key=lambda path: path.stat().st_mtime)
        if not models:
            raise CheckpointError(f"{project.runs} holds no trained model; run 'understudy train comb' first.")
        model = models[-1]
    return model.parent, open_performer(model)


def _model(run: Path) -> Path:
    from understudy.family import checkpoint_path

    return checkpoint_path(run)


def _identities(performer: Any, wanted: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [name for name in wanted if name not in performer.identities]
    if unknown:
        raise OptionError(
            f"The model does not know {unknown[0]!r}; its identities are {', '.join(performer.identities)}."
        )
    return wanted or performer.identities[:5]


def _anchors(
    options: InterpolateOptions, project: Project, performer: Any
) -> tuple[tuple[str, str], list[np.ndarray], list[np.ndarray], bool]:
    """Names, crops and face masks of the two anchors, and whether the model knows their person."""
    from understudy.dataset.face_set import FaceSet

    if options.anchors and all(Path(anchor).is_file() for anchor in options.anchors):
        crops = [crop_of_still(Path(anchor), performer.size) for anchor in options.anchors]
        names = (Path(options.anchors[0]).name, Path(options.anchors[1]).name)
        return names, [crop for crop, _ in crops], [mask for _, mask in crops], False
    (identity,) = _identities(performer, (options.identity or performer.identities[0],))
    with FaceSet.open(project.faces(identity)) as face_set:
        entries = face_set.entries()
        if len(entries) < 2:
            raise DatasetError(
                f"{project.faces(identity)} holds fewer than two pictures, so there is no path between them."
            )
        if options.anchors:
            chosen = [_entry(entries, anchor, project.faces(identity)) for anchor in options.anchors]
        else:
            some = [entries[int(place)] for place in np.unique(np.linspace(0, len(entries) - 1, 64).astype(int))]
            known = performer.encode(np.stack([face_set.load(entry, performer.size)[0] for entry in some]))
            chosen = [some[place] for place in farthest_pair(known)]
        loaded = [face_set.load(entry, performer.size) for entry in chosen]
    names = (chosen[0].name, chosen[1].name)
    return names, [picture for picture, _ in loaded], [mask for _, mask in loaded], True


def _entry(entries: list[FaceEntry], name: str, folder: Path) -> FaceEntry:
    for entry in entries:
        if entry.name == name.removesuffix(".png"):
            return entry
    raise OptionError(f"--anchors {name}: neither a picture file nor a picture of {folder}.")


def crop_of_still(path: Path, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The canonical crop (size, size, 3) in [0, 1] of the one face in a picture, and its mask (size, size).

    Raises:
        MediaError, FaceError: unreadable, no face, or several faces.
    """
    from understudy.faces.align import canonical_transform
    from understudy.faces.parse import face_mask

    view, face = face_of_still(path)
    transform = canonical_transform(face)
    crop = np.clip(transform.to_crop(view, size), 0, 1)
    return crop, face_mask(transform.points_to_crop(face.landmarks, size), size)


def face_of_still(path: Path) -> tuple[np.ndarray, Face]:
    """A picture, (H, W, 3) float32 in [0, 1], view space, and the one face in it.

    Raises:
        MediaError, FaceError: unreadable, no face, or several faces.
    """
    from understudy.faces.detect import FaceDetector
    from understudy.faces.landmarks import LandmarkModel
    from understudy.faces.measure import single_face
    from understudy.faces.models import find_models
    from understudy.media.clip import open_clip

    with open_clip(path) as clip:
        view = np.clip(next(iter(clip)).view(), 0, 1).astype(np.float32)
    models = find_models()
    picture = np.round(view * 255).astype(np.uint8)
    return view, single_face(picture, FaceDetector(models), LandmarkModel(models), name=str(path))


def _spacing(pictures: np.ndarray, masks: np.ndarray) -> float:
    from understudy.metrics.nearest import distances

    some = np.unique(np.linspace(0, len(pictures) - 1, 40).astype(int))
    nearest = []
    for place in some:
        far = distances(pictures[place] / np.float32(255), pictures, masks[place])
        far[place] = np.inf
        nearest.append(float(far.min()))
    return float(np.mean(nearest)) if len(pictures) > 1 else 0.0


def _crop_of(tracked: TrackedFace, view: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    from understudy.faces.parse import face_mask

    crop = np.clip(tracked.transform.to_crop(view, size), 0, 1).astype(np.float32)
    return crop, face_mask(tracked.transform.points_to_crop(tracked.face.landmarks, size), size)
