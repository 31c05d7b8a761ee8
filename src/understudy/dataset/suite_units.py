"""The true action units of a suite's clips, a row a frame: an .npz with ``units`` (n, 17) from 0 to 5, or with an animated head's
weights ``au`` (n, W) from 0 to 1 and their ``au_names`` (W,)."""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from understudy.errors import DatasetError
from understudy.faces.action_units import COUNT, HIGHEST, units_of_weights


def read_suite_units(path: Path) -> np.ndarray:
    """(n, 17) float32, 0 to 5, in the order of :class:`~understudy.faces.action_units.ActionUnit`.

    Raises:
        DatasetError: unreadable, of another shape, or out of range.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            if "units" in file:
                units = np.asarray(file["units"], np.float32)
            else:
                units = units_of_weights(np.asarray(file["au"]), [str(name) for name in file["au_names"]])
    except (OSError, ValueError, KeyError, IndexError, BadZipFile) as error:
        raise DatasetError(
            f"{path} cannot be read as action units ({error}); it needs 'units' (n, {COUNT}), or 'au' (n, W) and 'au_names' (W,)."
        ) from error
    if units.ndim != 2 or units.shape[1] != COUNT or not len(units):
        raise DatasetError(f"{path}: the units are {units.shape}; they must be (n, {COUNT}).")
    if not np.isfinite(units).all() or units.min() < 0 or units.max() > HIGHEST:
        raise DatasetError(f"{path} holds units that do not lie between 0 and {HIGHEST:g}.")
    return units


def has_units(path: Path) -> bool:
    """Whether a file names action units at all."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return "units" in file or {"au", "au_names"} <= set(file)
    except (OSError, ValueError, EOFError, BadZipFile):
        return False
