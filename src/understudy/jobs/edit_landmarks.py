"""A still with named points of its face moved: one picture, made as ``animate`` makes a frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.errors import OptionError
from understudy.faces.handles import HANDLES
from understudy.jobs.animate import AnimateReport, Progress, animate_still
from understudy.jobs.options_animate import AnimateOptions
from understudy.jobs.options_edit_landmarks import EditLandmarksOptions
from understudy.jobs.project import find_project
from understudy.media.pattern import PICTURE_SUFFIXES, Pattern

if TYPE_CHECKING:
    from understudy.family import Animator
    from understudy.jobs.track import FaceFinder

__all__ = ["EditLandmarksOptions", "EditLandmarksReport", "edit_landmarks"]


@dataclass(frozen=True, kw_only=True)
class EditLandmarksReport:
    """What editing landmarks did.

    Attributes:
        picture: the edited still and all about it; None where only the names were asked for.
        handles: the names of the points, with what each is.
    """

    picture: AnimateReport | None
    handles: Mapping[str, str]


def edit_landmarks(
    options: EditLandmarksOptions,
    progress: Progress = lambda stage, done, total: None,
    *,
    animator: Animator | None = None,
    finder: FaceFinder | None = None,
) -> EditLandmarksReport:
    """Move named points of a still's face; the model makes the face whose landmarks lie there.

    Args:
        options: what and how.
        progress, animator, finder: as of :func:`understudy.jobs.animate.animate_still`.

    Raises:
        OptionError, FaceError, ConsentError, CheckpointError, MediaError, WeightsError, StorageError: as that one; also an
            output that is not one picture, and a move that is too large.
    """
    handles = {name: handle.title for name, handle in HANDLES.items()}
    if options.list_:
        return EditLandmarksReport(picture=None, handles=handles)
    output = options.output or _default_output(options)
    if output.suffix.lower() not in PICTURE_SUFFIXES or Pattern.of(output) is not None:
        raise OptionError(f"--output {output}: an edited still is one picture, such as edited.png.")
    alike = {field.name for field in fields(AnimateOptions)} & {field.name for field in fields(options)}
    given: dict[str, Any] = {name: getattr(options, name) for name in alike} | {"output": output}
    picture = animate_still(AnimateOptions(**given), progress, animator=animator, finder=finder)
    return EditLandmarksReport(picture=picture, handles=handles)


def _default_output(options: EditLandmarksOptions) -> Path:
    project = find_project(options.project, required=False)
    if project is None:
        raise OptionError("Outside a project, say where the result goes with --output.")
    still = Path(str(options.still))
    return project.renders / f"{still.stem}_edited{still.suffix}"
