"""What the memory of a boundary_vae network tells apart: its focal points, and how its weights spread over faces.

Weights by the paper's formula come out nearly equal for every face (see the family's page), and then the prior hardly knows the
map. Both ways of making weights from the same focal points are measured, so that the trap can be seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from understudy.errors import CheckpointError, FaceError, OptionError

if TYPE_CHECKING:
    from understudy.dataset.labelled_cut import Find

Progress = Callable[[str, int, int | None], None]

_SEEN = 320  # pixels a side at which crops are measured


@dataclass(frozen=True, kw_only=True)
class MemoryOptions:
    """Options of :func:`memory`."""

    data: Path = field(metadata={"help": "Folder of labelled crops (units.csv), of people held back if there are any."})
    run: str | None = field(
        default=None, metadata={"help": "The model: a run's name or a checkpoint. Default: the packaged weights."}
    )
    pictures: int = field(default=60, metadata={"help": "How many pictures, spread evenly over the folder."})
    project: Path | None = field(default=None, metadata={"help": "Project folder; default: the one around you."})
    output: Path | None = field(
        default=None, metadata={"help": "The picture sheet to write (.png or .jpg); default: inspect/memory.png."}
    )

    def __post_init__(self) -> None:
        if self.pictures < 2:
            raise OptionError(f"--pictures must be 2 or more; it is {self.pictures}.")


@dataclass(frozen=True, kw_only=True)
class WeightsSpread:
    """How weights w_k (N pictures, K focal points) spread."""

    effective: float
    """Mean of exp(entropy): K where all weights are equal, 1 where one has all."""
    largest: float
    """Mean of a picture's largest weight; 1 / K where all are equal."""
    spread: float
    """Standard deviation of a focal point's weight over the pictures, mean over the focal points."""
    prior_moves: float
    """Root mean square distance of the prior's mean, eq. 4, from its mean over the pictures."""
    prior_deviation: float
    """Mean of the prior's own σ, eq. 4, over all of z: its length, to hold ``prior_moves`` against."""


@dataclass(frozen=True, kw_only=True)
class MemoryReport:
    """Focal points and their weights."""

    sheet: Path
    model: Path
    pictures: int
    unread: int
    """Pictures without a face."""
    focal_points: int
    weighting: str
    """The network's own; the key of the two in ``weightings``."""
    weightings: dict[str, WeightsSpread]
    shares: tuple[float, ...]
    """Mean weight of every focal point by the network's own weighting."""


def memory(
    options: MemoryOptions, progress: Progress = lambda stage, done, total: None, *, find: Find | None = None
) -> MemoryReport:
    """Measure the spread of the memory's weights over a folder's faces, and draw the focal points.

    Args:
        options: which model and which pictures.
        find: the face finder; None for MediaPipe's models.

    Raises:
        CheckpointError: no such model, of another family, or one without a memory.
        DatasetError: no such folder, or pictures that cannot be read.
        FaceError: fewer than two pictures with a face.
        WeightsError: the face models are needed and not at hand.
    """
    import torch

    from understudy import families
    from understudy.faces.boundary import boundary_maps
    from understudy.families.boundary_vae.memory import WEIGHTINGS
    from understudy.families.boundary_vae.start import load_network
    from understudy.jobs.project import find_project
    from understudy.jobs.train import resolve_checkpoint

    project = find_project(options.project, required=False)
    path = resolve_checkpoint(options.run, project) if options.run else families.get("boundary_vae").default_weights
    if path is None:
        raise CheckpointError("boundary_vae comes without weights here; train it, then name the result with --run.")
    network = load_network(path)
    settings, bank = network.settings, network.memory
    if not settings.gmm or not bank.filled:
        raise CheckpointError(f"{path} was trained without the mixture prior: its memory is empty.")
    pictures, points, unread = _faces(options, settings.topology, progress, find)
    maps = torch.from_numpy(
        boundary_maps(points * settings.size, settings.topology, settings.size, sigma=settings.sigma)
    )
    spreads, weights = {}, np.empty(0)
    with torch.inference_mode():
        for weighting in WEIGHTINGS:
            bank.weighting = weighting
            found = bank.weights(maps)
            means, variances = bank.prior(found)
            spreads[weighting] = spread_of(found.numpy(), means.numpy(), variances.numpy())
            if weighting == settings.weighting:
                weights = found.numpy()
    return MemoryReport(
        sheet=_sheet(options, bank.centres.numpy(), weights, pictures),
        model=Path(path),
        pictures=len(points),
        unread=unread,
        focal_points=settings.clusters,
        weighting=settings.weighting,
        weightings=spreads,
        shares=tuple(float(share) for share in weights.mean(0)),
    )


def spread_of(weights: np.ndarray, means: np.ndarray, variances: np.ndarray) -> WeightsSpread:
    """Figures of (N, K) weights, and of the prior's (N, L) means and (N,) variances that they make."""
    entropy = -(weights * np.log(np.maximum(weights, 1e-12))).sum(1)
    away = np.square(means - means.mean(0)).sum(1)
    return WeightsSpread(
        effective=float(np.exp(entropy).mean()),
        largest=float(weights.max(1).mean()),
        spread=float(weights.std(0).mean()),
        prior_moves=float(np.sqrt(away.mean())),
        prior_deviation=float(np.sqrt(variances * means.shape[1]).mean()),
    )


def _faces(
    options: MemoryOptions, topology: Any, progress: Progress, find: Find | None
) -> tuple[list[np.ndarray], np.ndarray, int]:
    """Pictures (s, s, 3) in [0, 1], their points (N, P, 2) in the unit square, and how many show no face."""
    from understudy.dataset.labelled import read_folder, read_points
    from understudy.dataset.labelled_batches import read_square
    from understudy.dataset.labelled_cut import largest_face_finder
    from understudy.faces.topology import NUM_POINTS

    entries = read_folder(options.data)
    held = [entry for entry in entries if entry.part == "test"] or entries
    chosen = [held[int(place)] for place in np.linspace(0, len(held) - 1, min(options.pictures, len(held))).round()]
    known = read_points(options.data, chosen)
    if known is not None and known.shape[1] != topology.points:
        known = None
    if known is None and topology.points != NUM_POINTS:
        raise FaceError(
            f"{options.data} has no points of {topology.name}; write them into its points.npz (docs/train.md)."
        )
    if known is None and find is None:
        find = largest_face_finder()
    pictures, points = [], []
    for done, entry in enumerate(chosen):
        progress("measure", done, len(chosen))
        picture = read_square(entry.picture, _SEEN)
        mesh = known[done] if known is not None else find(picture) if find is not None else None
        if mesh is None:
            continue
        pictures.append(picture.astype(np.float32) / np.float32(255))
        points.append(np.asarray(mesh)[:, :2] / (1 if known is not None else _SEEN))
    progress("measure", len(chosen), len(chosen))
    if len(points) < 2:
        raise FaceError(f"{options.data}: of {len(chosen)} pictures {len(points)} show a face; two are needed.")
    return pictures, np.stack(points).astype(np.float64), len(chosen) - len(points)


def _sheet(options: MemoryOptions, centres: np.ndarray, weights: np.ndarray, pictures: list[np.ndarray]) -> Path:
    from understudy.jobs.sheet import Sheet, write_sheet

    side = round(len(centres[0]) ** 0.5)
    drawn = [np.repeat(row.reshape(side, side, 1) / max(float(centres.max()), 1e-9), 3, 2) for row in centres]
    nearest = [pictures[int(place)] for place in weights.argmax(0)]
    sheet = Sheet(
        title=f"focal points, and the picture of {options.data.resolve().name} that has most of each",
        columns=[f"{share:.2f}" for share in weights.mean(0)],
        rows=[("focal point", drawn), (f"most, {weights.max():.2f}", nearest)],
    )
    return write_sheet(options.output or Path("inspect") / "memory.png", sheet)
