"""EmotionNet (Benitez-Quiroz, Srinivasan, Martinez 2016), of which addresses are published and pictures fetched by oneself.

``URLsWithEmotionCat*.csv`` (saved from the published .xlsx): a line a picture with its address and a 1 under one of 16 emotions. A
table ``labels.csv`` with the columns ``picture`` and ``expression`` stands for it where one has other labels, such as the 26
classes of the published warping code, by name or by number. Pictures lie anywhere below the folder under the last part of their
address. ``openface/`` gives units. Without either table every picture with units counts.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from understudy.dataset.adapters.openface import read_units
from understudy.dataset.labelled import Labelled, held_back
from understudy.errors import DatasetError

EXPRESSIONS = (
    *("sadly disgusted", "neutral", "happy", "sad", "sad 2", "angry", "surprised", "disgusted", "fearful"),
    *("happily surprised", "happily disgusted", "sadly angry", "angrily disgusted", "appalled", "hatred"),
    *("angrily surprised", "sadly surprised", "sadly surprised 2", "disgustedly surprised", "disgustedly surprised 2"),
    *(
        "disgustedly surprised 3",
        "fearfully surprised",
        "awed",
        "sadly fearful",
        "fearfully disgusted",
        "fearfully angry",
    ),
)
"""The published code's 26 classes in its order, which names some twice."""

_SUFFIXES = (".jpg", ".jpeg", ".png")


def read(folder: Path) -> list[Labelled]:
    """The pictures that were fetched, with their emotion and, where OpenFace's tables are there, units. A tenth is for tests.

    Raises:
        DatasetError: no picture with a label, or a table that cannot be understood.
    """
    pictures = {path.name: path for path in sorted(folder.rglob("*")) if path.suffix.lower() in _SUFFIXES}
    units, labels = read_units(folder), _labels(folder)
    entries = [
        Labelled(
            picture=path,
            person=path.stem,
            part="test" if held_back(f"emotionnet {path.stem}") else "train",
            expression=labels.get(name, ""),
            units=units.get(path.stem),
        )
        for name, path in pictures.items()
        if name in labels or (not labels and path.stem in units)
    ]
    if not entries:
        raise DatasetError(
            f"{folder} is not laid out as EmotionNet: {len(pictures)} pictures and {len(labels)} labels, but none for the other; "
            f"it should hold pictures and URLsWithEmotionCat.csv, labels.csv or openface/."
        )
    return entries


def _labels(folder: Path) -> dict[str, str]:
    """Expression by picture name."""
    own = folder / "labels.csv"
    published = sorted(folder.glob("URLsWithEmotionCat*.csv"))
    if own.is_file():
        rows = _rows(own)
        if rows and not {"picture", "expression"} <= rows[0].keys():
            raise DatasetError(f"{own} should have the columns picture and expression.")
        return {Path(row["picture"]).name: _named(row["expression"], own) for row in rows}
    found = {}
    for path in published:
        for row in _rows(path):
            address = next((cell for cell in row.values() if "/" in cell), "")
            marked = [name for name, cell in row.items() if name in EXPRESSIONS and cell in ("1", "1.0")]
            # A picture that is given two emotions shows neither purely.
            if address and len(marked) == 1:
                found[address.rsplit("/", 1)[-1]] = marked[0]
    return found


def _named(expression: str, path: Path) -> str:
    if expression.isdigit() and int(expression) < len(EXPRESSIONS):
        return EXPRESSIONS[int(expression)]
    name = _plain(expression)
    if name not in EXPRESSIONS:
        raise DatasetError(f"{path}: {expression!r} is no expression; they are {', '.join(EXPRESSIONS)}, or 0 to 25.")
    return name


def _rows(path: Path) -> list[Mapping[str, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    table = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    table.fieldnames = [_plain(name) for name in table.fieldnames or ()]
    return [{name: (cell or "").strip(" '\"") for name, cell in row.items() if name} for row in table]


def _plain(name: str) -> str:
    return name.strip(" '\"").lower().replace("_", " ")
