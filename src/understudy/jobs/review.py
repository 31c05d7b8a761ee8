"""Look through an identity's faces: sort, filter, drop, restore, and draw what was found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from understudy.dataset.face_set import FaceSet
from understudy.dataset.likeness import Embedder, low_resolution_embedder
from understudy.dataset.pictures import encode_png
from understudy.dataset.review import (
    SORTS,
    Condition,
    Score,
    arrange,
    resolve_sort,
    score_entries,
    sheet_of_scores,
)
from understudy.errors import DatasetError, OptionError
from understudy.jobs.options_review import Act, ReviewOptions
from understudy.jobs.project import Project, find_project
from understudy.provenance.atomic import write_bytes
from understudy.provenance.cast import nearest_names

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class ListedPicture:
    """One picture with its figures; ``likeness`` is None unless the review sorts or filters by it."""

    name: str
    path: Path
    blur: float
    yaw: float
    pitch: float
    roll: float
    size: float
    duplicates: int
    duplicate_of: str | None
    likeness: float | None
    dropped: str | None


@dataclass(frozen=True, kw_only=True)
class ReviewReport:
    """What a review found and did.

    Attributes:
        folder: the face set.
        sheet: the contact sheet, drawn before anything was dropped or restored.
        pictures: what was found, in order.
        acted: names of the pictures that were dropped or restored.
        in_set, out_of_set: pictures in the set and dropped ones, afterwards.
        likeness_by: what likeness rests on, or None where it was not measured.
    """

    identity: str
    folder: Path
    sheet: Path
    pictures: tuple[ListedPicture, ...]
    act: str
    acted: tuple[str, ...]
    in_set: int
    out_of_set: int
    likeness_by: str | None


def review(
    options: ReviewOptions,
    progress: Progress = lambda stage, done, total: None,
    *,
    embedder: Embedder | None = None,
) -> ReviewReport:
    """Find pictures of a face set, draw them on a sheet, and drop or restore them if asked to.

    Args:
        options: what and how.
        progress: called with ("likeness", done, total).
        embedder: what likeness rests on; None for the identity network where it is at hand, else for the aligned pixels
            at low resolution, and the report says which.

    Raises:
        DatasetError: no face set, or no picture of such a name.
        OptionError: a sort, a condition or a wish that is not understood.
    """
    sort = str(resolve_sort(options.sort))
    conditions = [Condition.parse(text) for text in options.where]
    if options.act is Act.DROP and not (options.names or options.worst or conditions):
        raise OptionError("To drop pictures, say which: by name, with --worst, or with --where.")
    if options.most < 1:
        raise OptionError(f"--most {options.most} must be 1 or more.")
    folder = _folder(options)
    by_likeness = sort == "likeness" or any(condition.figure == "likeness" for condition in conditions)
    with FaceSet.open(folder) as face_set:
        looks_at_dropped = options.dropped or options.act is Act.RESTORE
        entries = face_set.entries(dropped=looks_at_dropped)
        chosen_embedder = (embedder or best_embedder()) if by_likeness else None
        scores = score_entries(face_set, entries, embedder=chosen_embedder, progress=progress)
        scores = _named(scores, options.names, folder)
        found = arrange(scores, sort=sort, worst=options.worst, where=conditions)
        path = options.sheet or folder / "review.png"
        title = _title(options, sort, found, len(entries), looks_at_dropped)
        write_sheet(path, sheet_of_scores(face_set, found, sort=sort, title=title, most=options.most))
        acted: list[str] = []
        if options.act is Act.DROP:
            acted = face_set.drop([score.name for score in found], options.reason or _reason(options, sort))
        elif options.act is Act.RESTORE:
            acted = face_set.restore([score.name for score in found])
        return ReviewReport(
            identity=options.identity or folder.name,
            folder=folder,
            sheet=path,
            pictures=tuple(_listed(score) for score in found),
            act=options.act.value,
            acted=tuple(acted),
            in_set=len(face_set.entries()),
            out_of_set=len(face_set.entries(dropped=True)),
            likeness_by=chosen_embedder.title if chosen_embedder else None,
        )


def best_embedder() -> Embedder:
    """The identity network where its weights are at hand, else the low-resolution stand-in."""
    from understudy.metrics import identity

    if identity.missing_identity() is None:
        return Embedder(name="mobilefacenet", embed=identity.embed, title="identity network MobileFaceNet")
    return low_resolution_embedder()


def write_sheet(path: Path, sheet: np.ndarray) -> Path:
    """Write a picture (H, W, 3) uint8 RGB as PNG; it is never half a file.

    Raises:
        OptionError: the name does not end in .png.
        StorageError: full disk or no permission.
    """
    if path.suffix.lower() != ".png":
        raise OptionError(f"The sheet {path} must be a .png file.")
    write_bytes(path, encode_png(sheet))
    return path


def _folder(options: ReviewOptions) -> Path:
    if options.faces is not None:
        return options.faces
    if not options.identity:
        raise OptionError("Say whose faces: an identity of the project, or --faces FOLDER.")
    project = find_project(options.project)
    folder = project.faces(options.identity)
    if not folder.is_dir():
        raise DatasetError(_nobody(project, options.identity))
    return folder


def _nobody(project: Project, identity: str) -> str:
    known = project.gathered()
    near = nearest_names(identity, known, 1)
    if near:
        return f"{identity!r} has no faces in {project.root}. Did you mean {near[0]!r}?"
    others = f"There are faces of {', '.join(known)}. " if known else ""
    return f"{identity!r} has no faces in {project.root}. {others}Gather footage first: understudy gather CLIP --as {identity}."


def _named(scores: list[Score], names: tuple[str, ...], folder: Path) -> list[Score]:
    if not names:
        return scores
    wanted = {Path(name).name.removesuffix(".png") for name in names}
    missing = wanted - {score.name for score in scores}
    if missing:
        raise DatasetError(f"{folder} has no picture named {min(missing)!r} to look at; names are those of the files.")
    return [score for score in scores if score.name in wanted]


def _reason(options: ReviewOptions, sort: str) -> str:
    parts = [f"worst {options.worst} by {sort}"] if options.worst else []
    return ", ".join([*parts, *options.where]) or "by name"


def _title(options: ReviewOptions, sort: str, found: list[Score], total: int, dropped: bool) -> str:
    which = "dropped pictures" if dropped else "pictures"
    conditions = f", {' and '.join(options.where)}" if options.where else ""
    order = f"worst by {sort} first" if options.worst else f"by {sort}"
    return f"{options.identity or ''}: {len(found)} of {total} {which}{conditions}, {order}".lstrip(": ")


def _listed(score: Score) -> ListedPicture:
    figures = {name: round(score.value(name), 4) for name in SORTS if name not in ("name", "likeness", "duplicates")}
    return ListedPicture(
        name=score.name,
        path=score.entry.path,
        duplicates=score.duplicates,
        duplicate_of=score.duplicate_of,
        likeness=None if score.likeness is None else round(score.likeness, 4),
        dropped=score.entry.dropped,
        **figures,
    )
