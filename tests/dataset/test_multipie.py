"""Multi-PIE by its files' names."""

from __future__ import annotations

from pathlib import Path

import pytest

from understudy.dataset.adapters import read_layout
from understudy.dataset.adapters.multipie import CAMERAS
from understudy.errors import DatasetError


def put(folder: Path, person: str, session: str, recording: str, camera: str, light: str = "07") -> Path:
    place = folder / f"session{session}" / "multiview" / person / recording / f"{camera[:2]}_{camera[2]}"
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{person}_{session}_{recording}_{camera}_{light}.png"
    path.touch()
    return path


def test_people_expressions_and_cameras(tmp_path: Path):
    smile, squint = put(tmp_path, "001", "01", "02", "051"), put(tmp_path, "001", "02", "03", "190")
    scream = put(tmp_path, "250", "04", "02", "110", "19")
    put(tmp_path, "001", "01", "01", "081")  # from above
    (tmp_path / "session01" / "read_me_now_and_here.png").touch()
    found = {entry.picture: entry for entry in read_layout("multipie", tmp_path)}
    assert {path: entry.expression for path, entry in found.items()} == {
        smile: "smile",
        squint: "squint",
        scream: "scream",
    }
    assert [found[path].person for path in (smile, squint, scream)] == ["001", "001", "250"]
    assert len(CAMERAS) == len(set(CAMERAS)) == 13 and CAMERAS[6] == "051"


def test_nobody_is_in_both_parts(tmp_path: Path):
    for person in range(1, 60):
        put(tmp_path, f"{person:03d}", "01", "01", "051")
        put(tmp_path, f"{person:03d}", "03", "03", "041")
    parts: dict[str, set[str]] = {}
    for entry in read_layout("multipie", tmp_path):
        parts.setdefault(entry.person, set()).add(entry.part)
    assert all(len(part) == 1 for part in parts.values())
    assert 1 <= sum(part == {"test"} for part in parts.values()) <= 15


def test_other_folders(tmp_path: Path):
    with pytest.raises(DatasetError, match="not laid out as Multi-PIE"):
        read_layout("multipie", tmp_path)
    put(tmp_path, "001", "01", "03", "051")
    with pytest.raises(DatasetError, match="no recording 03 of session 01"):
        read_layout("multipie", tmp_path)
