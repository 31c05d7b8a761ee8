"""RaFD, the Radboud Faces Database (Langner and others 2010), by its files' names.

``Rafd090_01_Caucasian_female_angry_frontal.jpg``: camera angle, model, group, sex, expression, gaze; anywhere below the folder. A
tenth of the models is kept for tests, so that nobody is in both parts. No two photographs count as the same but for the
expression: the models moved between them.
"""

from __future__ import annotations

import re
from pathlib import Path

from understudy.dataset.adapters.openface import read_units
from understudy.dataset.labelled import Labelled, held_back
from understudy.errors import DatasetError

EXPRESSIONS = ("angry", "disgusted", "fearful", "happy", "sad", "surprised", "neutral", "contemptuous")
ANGLES = ("045", "090", "135")
"""Cameras that see both eyes; the two profiles are left out."""

_NAME = re.compile(r"Rafd(\d{3})_(\d+)_(\w+?)_(male|female)_([a-z]+)_(frontal|left|right)")


def read(folder: Path) -> list[Labelled]:
    """RaFD's photographs with their expressions, and units where OpenFace's tables are there.

    Raises:
        DatasetError: no such file below the folder.
    """
    units = read_units(folder)
    entries = []
    for path in sorted(folder.rglob("Rafd*")):
        match = _NAME.fullmatch(path.stem)
        if match is None or path.suffix.lower() not in (".jpg", ".png"):
            continue
        angle, model, _, _, expression, _ = match.groups()
        if expression not in EXPRESSIONS:
            raise DatasetError(
                f"{path}: {expression!r} is none of RaFD's expressions, {', '.join(EXPRESSIONS)}; give the file its own name back."
            )
        if angle in ANGLES:
            entries.append(
                Labelled(
                    picture=path,
                    person=model,
                    part="test" if held_back(f"rafd {model}") else "train",
                    expression=expression,
                    units=units.get(path.stem),
                )
            )
    if not entries:
        raise DatasetError(
            f"{folder} is not laid out as RaFD: no file is named like Rafd090_01_Caucasian_female_angry_frontal.jpg."
        )
    return entries
