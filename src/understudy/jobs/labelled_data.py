"""What ``--data`` and ``--layout`` name, as a folder of labelled crops; and their landmarks, for families that learn by them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.errors import DatasetError

if TYPE_CHECKING:
    from understudy.dataset.labelled_cut import Find
    from understudy.family import Recipe

FOLDER = "labelled"
"""Where a run keeps the crops of a data set that is not laid out as such a folder."""


def labelled_folder(
    data: Path,
    layout: str,
    run: Path,
    *,
    side: int,
    oval_share: float,
    progress: Callable[[str, int, int | None], None] = lambda *_: None,
    find: Find | None = None,
) -> Path:
    """The folder to train on: ``data`` itself, or for a published layout the run's own, cut on first use.

    Raises:
        DatasetError: no such folder, not laid out so, or no faces in it.
        OptionError: no such layout.
        WeightsError: pictures must be cut and the face models are not at hand.
    """
    from understudy.dataset.adapters import read_layout
    from understudy.dataset.labelled import TABLE
    from understudy.dataset.labelled_cut import cut_labelled

    if not data.is_dir():
        raise DatasetError(f"--data {data} is no folder.")
    if layout == "folder":
        return data
    entries = read_layout(layout, data)
    # The table is written last: where it stands, every picture was cut.
    if not (run / FOLDER / TABLE).is_file():
        cut_labelled(entries, run / FOLDER, find=find, side=side, oval_share=oval_share, progress=progress)
    return run / FOLDER


def with_points(
    recipe: Recipe,
    folder: Path,
    run: Path,
    *,
    progress: Callable[[str, int, int | None], None] = lambda *_: None,
    find: Find | None = None,
) -> tuple[Recipe, dict[str, Any]]:
    """What ``LabelledPictures`` is told of points and answers, and the recipe.

    A network with a boundary topology is driven by points; the recipe takes the data's own topology where it brings one. A
    loss with a term ``points`` is taught by the face's mesh where pictures come in pairs and the folder has no points of its
    own; without the face models it goes without. Any other recipe is told nothing.

    Raises:
        DatasetError: no points there, and they cannot be measured.
        OptionError: the data's topology is none.
        WeightsError: faces must be measured and the face models are not at hand.
    """
    if "topology" not in recipe.network:
        taught = float(recipe.losses.get("points", 0.0)) > 0
        return recipe, _marks(folder, run, progress=progress, find=find) if taught else {}
    from understudy.dataset.labelled_mesh import TOPOLOGY, labelled_points
    from understudy.faces.boundary import load_topology

    brought = folder / TOPOLOGY
    topology = load_topology(brought if brought.is_file() else recipe.network["topology"])
    if brought.is_file():
        # Written out: the run's settings tell when the file was changed.
        recipe = replace(recipe, network={**recipe.network, "topology": topology.as_record()})
    points = labelled_points(folder, topology, run, find=find, progress=progress)
    answers = {name: recipe.losses[name] for name in ("answers", "apart") if name in recipe.losses}
    return recipe, {"points": points, "mirror": topology.mirror, **answers}


def _marks(
    folder: Path, run: Path, *, progress: Callable[[str, int, int | None], None], find: Find | None
) -> dict[str, Any]:
    from understudy.dataset.labelled import POINTS, read_folder
    from understudy.dataset.labelled_mesh import measured_meshes
    from understudy.errors import WeightsError

    setups = [(entry.person, entry.setup) for entry in read_folder(folder) if entry.part == "train" and entry.setup]
    if (folder / POINTS).is_file() or len(set(setups)) == len(setups):
        return {}
    try:
        return {"marks": measured_meshes(folder, run, find=find, progress=progress)}
    except (WeightsError, DatasetError):
        return {}  # points teach faster, but nothing needs them
