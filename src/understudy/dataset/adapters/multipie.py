"""CMU Multi-PIE (Gross, Matthews, Cohn, Kanade and Baker 2010) by its files' names.

``session01/multiview/001/01/05_1/001_01_01_051_07.png``: person, session, recording, camera and light; anywhere below the folder.
What a recording shows is the session's own list. A tenth of the people is kept for tests, so that nobody is in both parts. No two
recordings count as the same but for the expression: people moved between them.
"""

from __future__ import annotations

import re
from pathlib import Path

from understudy.dataset.adapters.openface import read_units
from understudy.dataset.labelled import Labelled, held_back
from understudy.errors import DatasetError

EXPRESSIONS = ("neutral", "smile", "surprise", "squint", "disgust", "scream")
RECORDINGS = {
    "01": ("neutral", "smile"),
    "02": ("neutral", "surprise", "squint"),
    "03": ("neutral", "smile", "disgust"),
    "04": ("neutral", "scream", "neutral"),
}
"""What the recordings of each session show, in their order."""
CAMERAS = ("110", "120", "090", "080", "130", "140", "051", "050", "041", "190", "200", "010", "240")
"""The thirteen cameras at the height of the head, 15 degrees apart from one profile to the other; 051 is in front. The two above
(081, 191) are left out."""

_NAME = re.compile(r"(\d{3})_(\d{2})_(\d{2})_(\d{3})_(\d{2})")


def read(folder: Path) -> list[Labelled]:
    """Multi-PIE's photographs with their expressions, and units where OpenFace's tables are there.

    Raises:
        DatasetError: no such file below the folder, or a session or recording that the data set does not have.
    """
    units = read_units(folder)
    entries = []
    for path in sorted(folder.rglob("*_*_*_*_*")):
        match = _NAME.fullmatch(path.stem)
        if match is None or path.suffix.lower() not in (".png", ".jpg"):
            continue
        person, session, recording, camera, _ = match.groups()
        shown = RECORDINGS.get(session, ())
        if not 1 <= int(recording) <= len(shown):
            raise DatasetError(
                f"{path}: Multi-PIE has no recording {recording} of session {session}; give the file its own name back."
            )
        if camera in CAMERAS:
            entries.append(
                Labelled(
                    picture=path,
                    person=person,
                    part="test" if held_back(f"multipie {person}") else "train",
                    expression=shown[int(recording) - 1],
                    units=units.get(path.stem),
                )
            )
    if not entries:
        raise DatasetError(f"{folder} is not laid out as Multi-PIE: no file is named like 001_01_01_051_07.png.")
    return entries
