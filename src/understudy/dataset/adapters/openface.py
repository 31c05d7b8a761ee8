"""Action units that OpenFace 2 measured, beside a data set's pictures.

Either a folder ``openface/`` with one CSV a picture, as ``FaceLandmarkImg -fdir PICTURES -out_dir openface -aus`` writes them
(``face, confidence, ..., AU01_r, ...``; old versions put spaces before the names), or one table ``openface.csv`` of all of them
with a column ``picture`` in front.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from understudy.errors import DatasetError
from understudy.faces.action_units import COUNT, HIGHEST, ActionUnit

LEAST_CONFIDENCE = 0.5
"""OpenFace's own; below it a face is not taken for found."""


def read_units(folder: Path) -> dict[str, np.ndarray]:
    """Units (17,) float32, 0 to 5, by the picture's name without suffix; empty where the data set comes without.

    Of several faces in a picture the surest counts.

    Raises:
        DatasetError: a table that is not OpenFace's.
    """
    tables = sorted((folder / "openface").glob("*.csv"))
    single = folder / "openface.csv"
    found: dict[str, np.ndarray] = {}
    for path in [*tables, *([single] if single.is_file() else [])]:
        surest: dict[str, float] = {}
        for row in _rows(path):
            name = Path(row["picture"]).stem if path == single else path.stem
            confidence = _number(row.get("confidence") or "1", path)
            if confidence >= LEAST_CONFIDENCE and confidence > surest.get(name, 0.0):
                surest[name] = confidence
                found[name] = _units(row, path)
    return found


def _rows(path: Path) -> list[Mapping[str, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    table = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    table.fieldnames = [name.strip() for name in table.fieldnames or ()]
    needed = [f"{unit.name}_r" for unit in ActionUnit] + (["picture"] if path.parent.name != "openface" else [])
    missing = [name for name in needed if name not in table.fieldnames]
    if missing:
        raise DatasetError(
            f"{path} has no column {missing[0]}; it should be a table of OpenFace 2, made with its option -aus."
        )
    return list(table)


def _units(row: Mapping[str, str], path: Path) -> np.ndarray:
    units = np.zeros(COUNT, np.float32)
    for unit in ActionUnit:
        units[unit] = min(max(_number(row[f"{unit.name}_r"], path), 0.0), HIGHEST)
    return units


def _number(cell: str | None, path: Path) -> float:
    try:
        return float(cell or "")
    except ValueError:
        raise DatasetError(f"{path}: {cell!r} is no number.") from None
