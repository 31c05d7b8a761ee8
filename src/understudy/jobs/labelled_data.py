"""What ``--data`` and ``--layout`` name, as a folder of labelled crops."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.errors import DatasetError

if TYPE_CHECKING:
    from understudy.dataset.labelled_cut import Find

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
