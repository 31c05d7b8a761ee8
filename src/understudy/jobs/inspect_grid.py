"""Two faces mixed in appearance against structure, as in Fig. 9 of the boundary-map paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from understudy.errors import CheckpointError, OptionError
from understudy.faces.align import canonical_transform
from understudy.jobs.inspect import InterpolateOptions, InterpolateReport, Progress, face_of_still
from understudy.jobs.sheet import Sheet, write_sheet

if TYPE_CHECKING:
    from understudy.faces.face import Face


def interpolate_grid(
    options: InterpolateOptions,
    progress: Progress = lambda stage, done, total: None,
    *,
    animator: Any = None,
    faces: tuple[tuple[np.ndarray, Face], ...] | None = None,
) -> InterpolateReport:
    """Decode every mixture of two pictures' appearance (down) and structure (across), each on a straight path.

    The first picture's latents meet at the top left and the second's at the bottom right: these two are reconstructions. At
    the other corners one face wears the other's looks.

    Args:
        options: with ``family`` and two picture files as ``anchors``.
        progress: called with ("encode" or "decode", done, total).
        animator: a model already open, instead of the one that the options name.
        faces: pictures (H, W, 3) in [0, 1] and their faces, instead of those that are read and found.

    Returns:
        The report; its steps and smoothness are of the first column (appearance) and of the first row (structure), over the
        whole crop.

    Raises:
        OptionError: not two pictures, a wrong number of steps, or no place to write to.
        CheckpointError: no such model, or of a family whose latents cannot be mixed.
        MediaError, FaceError: unreadable, no face, or several faces.
    """
    if len(options.anchors) != 2:
        raise OptionError(f"--family {options.family} mixes two pictures; name both, such as a.jpg b.jpg.")
    model, run = None, None
    if animator is None:
        animator, model, run = _open(options)
    if not (hasattr(animator, "encode") and hasattr(animator, "decode")):
        raise CheckpointError(
            f"{model or options.family} is of a family whose appearance and structure cannot be mixed."
        )
    where = options.output or (run / "inspect" / "interpolate-grid.png" if run else None)
    if where is None:
        raise OptionError("Say where the sheet goes with --output; the packaged weights have no run to keep it in.")
    pictures, latents = [], []
    for place, anchor in enumerate(options.anchors):
        progress("encode", place, 2)
        view, face = face_of_still(Path(anchor)) if faces is None else faces[place]
        transform = canonical_transform(face, oval_share=animator.oval_share)
        pictures.append(np.clip(transform.to_crop(view, animator.size), 0, 1))
        latents.append(animator.encode(pictures[-1], transform.points_to_crop(face.landmarks, 1).astype(np.float32)))
    weights = np.linspace(0, 1, options.steps)
    grid = []
    for row, down in enumerate(weights):
        progress("decode", row, len(weights))
        appearance = _mixed(latents[0][0], latents[1][0], down)
        grid.append([animator.decode(appearance, _mixed(latents[0][1], latents[1][1], across)) for across in weights])
    progress("decode", len(weights), len(weights))
    lines = {"appearance": np.stack([row[0] for row in grid]), "structure": np.stack(grid[0])}
    steps = {
        name: tuple(100 * float(step) for step in np.abs(np.diff(line, axis=0)).mean(axis=(1, 2, 3)))
        for name, line in lines.items()
    }
    names = (Path(options.anchors[0]).name, Path(options.anchors[1]).name)
    empty = [np.ones_like(pictures[0])] * (len(weights) - 2)
    sheet = Sheet(
        title=f"down: appearance, across: structure, of {names[0]} to {names[1]}",
        columns=[f"{weight:.2f}" for weight in weights],
        rows=[
            ("pictures", [pictures[0], *empty, pictures[1]]),
            *[(f"{weight:.2f}", row) for weight, row in zip(weights, grid, strict=True)],
        ],
    )
    return InterpolateReport(
        sheet=write_sheet(where, sheet),
        model=model or Path("given"),
        anchors=names,
        known=False,
        weights=tuple(float(weight) for weight in weights),
        steps=steps,
        smoothness={name: max(line) / max(float(np.mean(line)), 1e-9) for name, line in steps.items()},
    )


def _mixed(first: np.ndarray, last: np.ndarray, weight: float) -> np.ndarray:
    # Not first + weight * (last - first): both ends are to be met exactly.
    return ((1 - weight) * first + weight * last).astype(np.float32)


def _open(options: InterpolateOptions) -> tuple[Any, Path, Path | None]:
    """The animator, its file, and the run that it is of."""
    from understudy.jobs.project import find_project
    from understudy.jobs.train import resolve_checkpoint
    from understudy.perform.animate import find_animator

    project = find_project(options.project, required=False)
    checkpoint = None if options.run is None else resolve_checkpoint(options.run, project)
    family, model = find_animator(checkpoint, options.family)
    return family.animator(model, device="auto"), model, model.parent if checkpoint else None
