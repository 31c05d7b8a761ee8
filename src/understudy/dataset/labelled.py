"""Labelled pictures: one folder that a file browser shows and a spreadsheet edits.

``units.csv`` stands beside the pictures, a line a picture::

    picture,person,setup,part,expression,AU01,AU02,AU04,...,AU45
    pictures/0200_1_0.png,0200,0200_1,train,,0.000,0.000,3.250,...

``picture`` is a path below the folder. Needed besides is a label: ``expression``, a name, or units, OpenFace's intensities 0 to 5
(a unit without a column rests at 0). ``person`` keeps people apart (default: everyone another). Pictures of one ``person`` and
``setup`` differ by the expression alone: same pose, light and camera, so that each is the true answer to the other's. ``part`` is
``train`` or ``test``. Pictures are square canonical crops, all of one ``oval_share`` (see ``faces.align.canonical_transform``).

Rendered faces may come with ``points.npz``: ``pictures`` (N,) their paths below the folder, ``points`` (N, P, 2) float32 x and y in
the crop's unit square of P points of the face, the same on every picture. They teach motion where pictures alone teach it slowly.
"""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from understudy.errors import DatasetError
from understudy.faces.action_units import COUNT, HIGHEST, ActionUnit
from understudy.provenance.atomic import write_text

TABLE = "units.csv"
POINTS = "points.npz"
PARTS = ("train", "test")
_NAMES = ("picture", "person", "setup", "part", "expression")


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """A picture and what is known about the face on it."""

    picture: Path
    person: str = ""
    """Empty: nobody else's picture."""
    setup: str = ""
    """Pictures of the same person and set-up differ by the expression alone; empty: no other picture is like it."""
    part: str = "train"
    expression: str = ""
    units: np.ndarray | None = None
    """(17,) float32, OpenFace's intensities 0 to 5."""


def held_back(person: str, share: float = 0.1) -> bool:
    """Whether a person is kept for the test, where a data set does not say: the same ones every time, whoever else is there."""
    return int.from_bytes(hashlib.sha256(person.encode()).digest()[:4], "big") < share * 2**32


def read_folder(folder: Path) -> list[Labelled]:
    """The lines of a folder's ``units.csv``.

    Raises:
        DatasetError: no such folder or table, or a line that cannot be understood.
    """
    path = folder / TABLE
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"{path} cannot be read ({getattr(error, 'strerror', None) or error}); a folder of labelled pictures holds one with "
            f"the columns picture, person, setup and AU01 to AU45, or name the data set's own --layout."
        ) from error
    table = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    header = [name.strip() for name in table.fieldnames or ()]
    table.fieldnames = header
    columns = {name: ActionUnit[name.removesuffix("_r")] for name in header if name.removesuffix("_r") in _UNITS}
    unknown = [name for name in header if name not in columns and name not in _NAMES]
    if unknown or "picture" not in header or not (columns or "expression" in header):
        found = f"the column {unknown[0]!r}" if unknown else "no column picture, or no label"
        raise DatasetError(f"{path} has {found}; columns are {', '.join(_NAMES)} and {_UNITS[0]} to {_UNITS[-1]}.")
    rows = [_entry(row, columns, folder, f"{path}, line {table.line_num}") for row in table]
    if not rows:
        raise DatasetError(f"{path} lists no picture.")
    return rows


def write_folder(folder: Path, entries: Iterable[Labelled]) -> Path:
    """Write ``units.csv`` for pictures that lie below ``folder``; returns its path.

    Raises:
        StorageError: full disk or no permission.
    """
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow([*_NAMES, *_UNITS])
    for entry in entries:
        row = [""] * COUNT if entry.units is None else [f"{value:.3f}" for value in entry.units]
        name = entry.picture.relative_to(folder).as_posix()
        table.writerow([name, entry.person, entry.setup, entry.part, entry.expression, *row])
    write_text(folder / TABLE, out.getvalue())
    return folder / TABLE


def read_points(folder: Path, entries: Sequence[Labelled]) -> np.ndarray | None:
    """Points of the faces, (N, P, 2) float32 in the crop's unit square in the order of ``entries``; None where the folder has none.

    Raises:
        DatasetError: damaged, or a picture without points.
    """
    path = folder / POINTS
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            names, points = [str(name) for name in arrays["pictures"]], np.asarray(arrays["points"], np.float32)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{path} is damaged ({error}); write it anew or remove it.") from error
    if points.ndim != 3 or points.shape[2] != 2 or len(points) != len(names) or not np.isfinite(points).all():
        raise DatasetError(
            f"{path} holds points of shape {points.shape} for {len(names)} pictures; (N, P, 2) is needed."
        )
    places = {name: place for place, name in enumerate(names)}
    lacking = [entry for entry in entries if entry.picture.relative_to(folder).as_posix() not in places]
    if lacking:
        raise DatasetError(f"{path} has no points of {lacking[0].picture.name} ({len(lacking)} pictures lack them).")
    return points[[places[entry.picture.relative_to(folder).as_posix()] for entry in entries]]


def signals_of(entries: Sequence[Labelled], expressions: Sequence[str] = (), *, source: str = "the data") -> np.ndarray:
    """What drives the faces, (N, c) float32: units as fifths of 0 to 5, or one-hot in the order of ``expressions``.

    Raises:
        DatasetError: a picture without such a label, or an expression that is not among them.
    """
    kind = "an expression" if expressions else "action units"
    lacking = [entry for entry in entries if (not entry.expression if expressions else entry.units is None)]
    if lacking:
        raise DatasetError(
            f"{source}: {lacking[0].picture.name} has no label ({len(lacking)} of {len(entries)} have none), and this training "
            f"needs {kind} for every picture."
        )
    if not expressions:
        return np.stack([entry.units for entry in entries if entry.units is not None]).astype(np.float32) / HIGHEST
    places = {name: place for place, name in enumerate(expressions)}
    strange = sorted({entry.expression for entry in entries} - set(places))
    if strange:
        raise DatasetError(f"{source}: the expression {strange[0]!r} is not one of {', '.join(places)}.")
    signals = np.zeros((len(entries), len(expressions)), np.float32)
    signals[np.arange(len(entries)), [places[entry.expression] for entry in entries]] = 1.0
    return signals


_UNITS = tuple(unit.name for unit in ActionUnit)


def _entry(row: Mapping[str, str], columns: Mapping[str, ActionUnit], folder: Path, line: str) -> Labelled:
    cell = {name: (row.get(name) or "").strip() for name in (*_NAMES, *columns)}
    picture = Path(cell["picture"])
    if not cell["picture"] or picture.is_absolute() or ".." in picture.parts:
        raise DatasetError(f"{line}: the picture {cell['picture']!r} is no path below the folder.")
    if (part := cell["part"] or "train") not in PARTS:
        raise DatasetError(f"{line}: the part {part!r} is neither train nor test.")
    given = [name for name in columns if cell[name]]
    units = np.zeros(COUNT, np.float32) if given else None
    for name in given:
        assert units is not None
        try:
            value = float(cell[name])
        except ValueError:
            value = -1.0
        if not 0.0 <= value <= HIGHEST:
            raise DatasetError(f"{line}: {name} is {cell[name]!r}; units are numbers from 0 to 5.")
        units[columns[name]] = value
    return Labelled(
        picture=folder / picture,
        person=cell["person"] or picture.stem,
        setup=cell["setup"],
        part=part,
        expression=cell["expression"],
        units=units,
    )
