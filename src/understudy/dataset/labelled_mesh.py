"""The points of labelled pictures: those that a boundary topology speaks of, the folder's own, or the mesh, measured once.

A folder whose pictures show something else than faces brings its markup along: ``points.npz`` with as many points as its
``topology.toml`` (see :mod:`understudy.faces.boundary`) says.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from understudy.dataset.labelled import Labelled, read_folder, read_points
from understudy.dataset.labelled_batches import read_square
from understudy.dataset.labelled_cut import Find, largest_face_finder
from understudy.errors import DatasetError
from understudy.faces.boundary import BoundaryTopology
from understudy.faces.topology import NUM_POINTS
from understudy.provenance.atomic import replacing

TOPOLOGY = "topology.toml"
MESHES = "meshes.npz"
"""Where a run keeps what was measured."""
_SEEN = 320
"""Pixels a side at which crops are measured: the face models see a face of half a crop well."""


def labelled_points(
    folder: Path,
    topology: BoundaryTopology,
    run: Path,
    *,
    find: Find | None = None,
    progress: Callable[[str, int, int | None], None] = lambda *_: None,
) -> dict[str, np.ndarray]:
    """Points (N, 2) in the crop's unit square by the picture's path below the folder, for its training part.

    Args:
        folder: see :mod:`understudy.dataset.labelled`; its ``points.npz`` counts if it has the topology's number of points.
        topology: what the points are for.
        run: the training's folder, which keeps what was measured.
        find: the face finder; None for MediaPipe's models.

    Raises:
        DatasetError: no points there, and they cannot be measured, or no face in any of the pictures.
        WeightsError: the face models are needed and not at hand.
    """
    entries = [entry for entry in read_folder(folder) if entry.part == "train"]
    names = [entry.picture.relative_to(folder).as_posix() for entry in entries]
    points = read_points(folder, entries)
    if points is not None and points.shape[1] == topology.points:
        return dict(zip(names, points, strict=True))
    if topology.points != NUM_POINTS:
        found = "has none" if points is None else f"has {points.shape[1]} points a picture"
        raise DatasetError(
            f"{folder} {found}, and {topology.name} needs {topology.points}; write them into its points.npz (docs/train.md)."
        )
    return measured_meshes(folder, run, find=find, progress=progress)


def measured_meshes(
    folder: Path,
    run: Path,
    *,
    find: Find | None = None,
    progress: Callable[[str, int, int | None], None] = lambda *_: None,
) -> dict[str, np.ndarray]:
    """The mesh (478, 2) in the crop's unit square by the picture's path below the folder, for its training part; what was
    measured is kept in ``run``. Pictures without a face that could be found are left out.

    Raises:
        DatasetError: no face in any of the pictures.
        WeightsError: they must be measured and the face models are not at hand.
    """
    entries = [entry for entry in read_folder(folder) if entry.part == "train"]
    names = [entry.picture.relative_to(folder).as_posix() for entry in entries]
    kept = _kept(run / MESHES, names)
    if kept is None:
        kept = _measured(entries, names, find or largest_face_finder(), progress)
        with replacing(run / MESHES) as temporary, temporary.open("wb") as stream:
            np.savez(stream, pictures=np.array(names), points=kept)
    found = {name: mesh for name, mesh in zip(names, kept, strict=True) if np.isfinite(mesh).all()}
    if not found:
        raise DatasetError(f"None of the {len(names)} pictures in {folder} shows a face that could be found.")
    return found


def _measured(
    entries: Sequence[Labelled], names: Sequence[str], find: Find, progress: Callable[[str, int, int | None], None]
) -> np.ndarray:
    """(M, 478, 2) in the unit square; NaN where no face is found."""
    meshes = np.full((len(names), NUM_POINTS, 2), np.nan, np.float32)
    for done, entry in enumerate(entries):
        progress("measure", done, len(entries))
        mesh = find(read_square(entry.picture, _SEEN))
        if mesh is not None:
            meshes[done] = mesh[:, :2] / _SEEN
    progress("measure", len(entries), len(entries))
    return meshes


def _kept(path: Path, names: Sequence[str]) -> np.ndarray | None:
    """What an earlier stretch of this run measured, if it is of the same pictures."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if [str(name) for name in arrays["pictures"]] == list(names):
                return np.asarray(arrays["points"], np.float32)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        pass
    return None
