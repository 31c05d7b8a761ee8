"""Action-unit curves: one row a frame, one column a unit, in files that people and spreadsheets can edit.

CSV is laid out as OpenFace 2 writes it (``frame, timestamp, confidence, success, AU01_r, ...``), so its files can be read
here and ours there; JSON holds the same by unit. A file may hold some of the 17 units only: the others rest at 0.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from understudy.errors import MediaError, OptionError
from understudy.faces.action_units import COUNT, HIGHEST, ActionUnit
from understudy.provenance.atomic import write_text

USUAL_RATE = Fraction(24)
"""Frames a second of curves that do not say."""

_FORMAT = "understudy curves 1"
# What else stands in OpenFace's tables: presence of units, gaze, pose, landmarks, shape parameters.
_IGNORED = re.compile(
    r"AU\d\d_c|(gaze|eye_lmk|pose|p)_\w+|[xyXYZ]_\d+|(confidence|face_id|detection|input|landmark\w*)"
)
_MOST_ROWS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Action units over time.

    Attributes:
        numbers: (N,) int64 frame numbers, each one more than the one before.
        rate: frames a second.
        units: (N, 17) float32, 0 to 5, in the order of ``ActionUnit``; finite in every row.
        missing: (N,) bool, rows that nobody measured or wrote: they lie on the straight line between their neighbours,
            and hold the nearest value at the ends.
        source: what they are of, such as a clip's file name.
    """

    numbers: np.ndarray
    rate: Fraction
    units: np.ndarray
    missing: np.ndarray
    source: str = ""

    def __post_init__(self) -> None:
        numbers = np.array(self.numbers, np.int64).reshape(-1)
        units = np.array(self.units, np.float32).reshape(-1, COUNT)
        missing = np.array(self.missing, bool).reshape(-1)
        if not len(numbers) == len(units) == len(missing):
            raise OptionError(
                f"Curves need as many numbers, rows of units and marks; they are {len(numbers)}, {len(units)}, {len(missing)}."
            )
        if not len(numbers) or (np.diff(numbers) != 1).any():
            raise OptionError("Curves need at least one frame, and frame numbers that rise by one.")
        if self.rate <= 0 or not np.isfinite(units).all() or units.min() < 0 or units.max() > HIGHEST:
            raise OptionError("Curves need a rate above 0, and units that are numbers between 0 and 5.")
        for name, array in (("numbers", numbers), ("units", units), ("missing", missing)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.numbers)

    @classmethod
    def from_measured(
        cls, numbers: np.ndarray, units: np.ndarray, *, rate: Fraction = USUAL_RATE, source: str = ""
    ) -> Curves:
        """Curves from rows that may lack frames, or values (NaN): all gaps are filled as :class:`Curves` says.

        Args:
            numbers: (M,) frame numbers, in any order, none twice.
            units: (M, 17), 0 to 5; a row that lacks a value counts as missing only if it lacks all of them.

        Raises:
            OptionError: no row, or a number that stands twice.
        """
        numbers = np.asarray(numbers, np.int64).reshape(-1)
        rows = np.asarray(units, np.float64).reshape(-1, COUNT)
        if not len(numbers):
            raise OptionError("Curves need at least one frame.")
        if len(np.unique(numbers)) != len(numbers):
            twice = np.sort(numbers)[:-1][np.diff(np.sort(numbers)) == 0][0]
            raise OptionError(f"frame {twice} stands twice; curves are of one face, with one row a frame.")
        first, last = int(numbers.min()), int(numbers.max())
        if last - first >= _MOST_ROWS:
            raise OptionError(f"frames {first} to {last} are more than a million; split the file.")
        whole = np.full((last - first + 1, COUNT), np.nan)
        whole[numbers - first] = rows
        missing = np.asarray(np.isnan(whole).all(axis=1))
        every = np.arange(len(whole))
        for column in whole.T:  # views: written in place
            known = ~np.isnan(column)
            column[:] = np.interp(every, every[known], column[known]) if known.any() else 0.0
        return cls(numbers=every + first, rate=rate, units=whole, missing=missing, source=source)


def write_curves(path: Path | str, curves: Curves) -> Path:
    """Write curves as .csv or .json, by the suffix; the file is whole or absent.

    Rows that are missing are written without values, so that they can be told from measured ones.

    Raises:
        OptionError: another suffix.
        StorageError: full disk or no permission.
    """
    path = Path(path)
    writer = {".csv": _to_csv, ".json": _to_json}.get(path.suffix.lower())
    if writer is None:
        raise OptionError(f"{path} cannot be written: curves are .csv or .json files.")
    write_text(path, writer(curves))
    return path


def read_curves(path: Path | str, *, rate: Fraction | None = None) -> Curves:
    """Read curves from .csv (ours, OpenFace 2's, or one made by hand) or .json.

    In CSV only the header and the units' columns are needed: ``AU12`` and ``AU12_r`` mean the same, spaces around names
    and values do not count, and OpenFace's other columns are passed over. Without ``frame`` the rows are numbered from 1.
    Empty cells, NaN, rows whose ``success`` is 0 and frame numbers left out are gaps, filled as :class:`Curves` says.

    Args:
        rate: frames a second; None takes what the file or its time stamps say, else 24.

    Raises:
        MediaError: unreadable, no unit in it, an unknown unit or column, a value that is no number from 0 to 5, two rows
            of one frame.
        OptionError: another suffix.
    """
    path = Path(path)
    reader = {".csv": _from_csv, ".json": _from_json}.get(path.suffix.lower())
    if reader is None:
        raise OptionError(f"{path} cannot be read: curves are .csv or .json files.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise MediaError(f"{path} cannot be read as curves: {getattr(error, 'strerror', None) or error}.") from error
    try:
        return reader(text, rate, path)
    except OptionError as error:
        raise MediaError(f"{path}: {error}") from error


def _to_csv(curves: Curves) -> str:
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["frame", "timestamp", "confidence", "success", *(f"{unit.name}_r" for unit in ActionUnit)])
    for number, row, missing in zip(curves.numbers, curves.units, curves.missing, strict=True):
        time = float((int(number) - int(curves.numbers[0])) / curves.rate)
        sure = 0 if missing else 1
        table.writerow([number, f"{time:.6f}", sure, sure, *("" if missing else f"{value:.3f}" for value in row)])
    return out.getvalue()


def _to_json(curves: Curves) -> str:
    columns = {
        unit.name: [
            None if missing else round(float(value), 4)
            for value, missing in zip(curves.units[:, unit], curves.missing, strict=True)
        ]
        for unit in ActionUnit
    }
    frames = [int(number) for number in curves.numbers]
    value = {"format": _FORMAT, "source": curves.source, "rate": str(curves.rate), "frames": frames, "units": columns}
    # A line a column: a person can find AU12, and the file does not run to a line a number.
    lines = [f"  {json.dumps(key)}: {json.dumps(item, ensure_ascii=False)}" for key, item in value.items()]
    lines[-1] = '  "units": {\n' + ",\n".join(f'    "{key}": {json.dumps(item)}' for key, item in columns.items())
    return "{\n" + ",\n".join(lines) + "\n  }\n}\n"


def _from_csv(text: str, rate: Fraction | None, path: Path) -> Curves:
    # A line of commas alone is a gap; only an empty line is no row.
    rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row and row != [""]]
    if len(rows) < 2:
        raise OptionError("there are no rows in it; curves have a header and a row a frame.")
    header = [name.strip() for name in rows[0]]
    columns = {place: unit for place, name in enumerate(header) if (unit := _unit(name)) is not None}
    if not columns:
        raise OptionError("no column is an action unit, such as AU12 or AU12_r; the first line names the columns.")
    if len(set(columns.values())) < len(columns):
        raise OptionError("a unit has two columns; keep one of them.")
    known = {name: header.index(name) for name in ("frame", "timestamp", "success") if name in header}
    numbers, times = [], []
    units = np.full((len(rows) - 1, COUNT), np.nan)
    units[:, [unit for unit in ActionUnit if unit not in columns.values()]] = 0.0
    for place, row in enumerate(rows[1:]):
        line = f"row {place + 1}"
        if len(row) != len(header):
            raise OptionError(f"{line} has {len(row)} cells, the header {len(header)}.")
        number = _number(row[known["frame"]], f"{line}, frame") if "frame" in known else place + 1
        if not math.isfinite(number) or number != round(number):
            raise OptionError(f"{line} has no whole frame number.")
        numbers.append(int(number))
        times.append(_number(row[known["timestamp"]], f"{line}, timestamp") if "timestamp" in known else math.nan)
        if "success" in known and _number(row[known["success"]], f"{line}, success") == 0:
            units[place] = np.nan
            continue
        for column, unit in columns.items():
            units[place, unit] = _intensity(_number(row[column], f"{line}, {unit.name}"), f"{line}, {unit.name}")
        if np.isnan(units[place, list(columns.values())]).all():
            units[place] = np.nan
    found = rate or _rate_of(numbers, times) or USUAL_RATE
    return Curves.from_measured(np.array(numbers), units, rate=found, source=path.name)


def _from_json(text: str, rate: Fraction | None, path: Path) -> Curves:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise OptionError(f"it is not JSON: {error}.") from error
    columns = value.get("units") if isinstance(value, dict) else None
    if not isinstance(columns, dict) or not columns or not all(isinstance(item, list) for item in columns.values()):
        raise OptionError(
            'it has no curves: {"units": {"AU12": [0.0, ...]}, "rate": "25", "frames": [1, ...]} is the form.'
        )
    length = len(next(iter(columns.values())))
    numbers = value.get("frames") or list(range(1, length + 1))
    if len({length, len(numbers), *map(len, columns.values())}) > 1:
        raise OptionError("its lists are of several lengths; every unit and the frames need one value a frame.")
    if not all(isinstance(number, int) for number in numbers):
        raise OptionError("its frames are not all whole numbers.")
    units = np.full((length, COUNT), np.nan)
    given = []
    for name, items in columns.items():
        unit = _unit(name)
        if unit is None:
            raise OptionError(f"{name!r} is no action unit; known are {', '.join(ActionUnit.__members__)}.")
        given.append(unit)
        units[:, unit] = [_intensity(_item(item, name), name) for item in items]
    empty = np.isnan(units).all(axis=1)
    units[:, [unit for unit in ActionUnit if unit not in given]] = 0.0
    units[empty] = np.nan
    try:
        found = rate or Fraction(str(value.get("rate", USUAL_RATE)))
    except (ValueError, ZeroDivisionError) as error:
        raise OptionError(
            f'its rate {value["rate"]!r} is no number of frames a second, such as "25" or "24000/1001".'
        ) from error
    return Curves.from_measured(np.array(numbers), units, rate=found, source=str(value.get("source") or path.name))


def _unit(name: str) -> ActionUnit | None:
    """The unit that a column is of; None for the columns that belong there but are no units.

    Raises:
        OptionError: nothing that is known.
    """
    bare = name.removesuffix("_r").upper()
    if re.fullmatch(r"AU\d", bare):
        bare = f"AU0{bare[2:]}"
    if bare in ActionUnit.__members__:
        return ActionUnit[bare]
    if name in ("frame", "timestamp", "success", "") or _IGNORED.fullmatch(name):
        return None
    raise OptionError(f"{name!r} is no action unit that is known; these are: {', '.join(ActionUnit.__members__)}.")


def _number(cell: str, where: str) -> float:
    """A cell as a number; NaN where it is empty."""
    cell = cell.strip()
    try:
        return float(cell) if cell else math.nan
    except ValueError:
        raise OptionError(f"{where} is {cell!r}, which is no number.") from None


def _item(item: Any, where: str) -> float:
    if item is None:
        return math.nan
    if isinstance(item, bool) or not isinstance(item, int | float):
        raise OptionError(f"{where} holds {item!r}, which is no number.")
    return float(item)


def _intensity(value: float, where: str) -> float:
    # A spreadsheet's rounding may pass the ends by a hair.
    if math.isnan(value) or -0.01 <= value <= HIGHEST + 0.01:
        return min(max(value, 0.0), HIGHEST) if not math.isnan(value) else value
    raise OptionError(f"{where} is {value:g}; intensities lie between 0 and 5.")


def _rate_of(numbers: list[int], times: list[float]) -> Fraction | None:
    """The usual frame rate nearest to what time stamps say; None where they say nothing."""
    if len(numbers) < 2 or numbers[-1] == numbers[0] or not times[-1] > times[0]:
        return None
    measured = (numbers[-1] - numbers[0]) / (times[-1] - times[0])
    whole = max(round(measured), 1)
    usual = min(Fraction(whole), Fraction(whole * 1000, 1001), key=lambda rate: abs(float(rate) - measured))
    # OpenFace rounds times to a millisecond.
    near = abs(measured / float(usual) - 1.0) < 2e-4 + 1e-3 / (times[-1] - times[0])
    return usual if near else Fraction(measured).limit_denominator(1001)
