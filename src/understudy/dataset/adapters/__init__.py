"""Published data sets as labelled pictures: each module reads one layout and says what it found."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.errors import OptionError

if TYPE_CHECKING:
    from understudy.dataset.labelled import Labelled

LAYOUTS = ("celeba", "emotionnet", "multipie", "rafd")
"""Layouts with a module of that name here; ``openface`` reads the units that any of them may come with."""


def read_layout(layout: str, folder: Path) -> list[Labelled]:
    """The labelled pictures of a data set as it is published; they are whole pictures, not crops.

    Raises:
        OptionError: no such layout.
        DatasetError: the folder is not laid out so.
    """
    if layout not in LAYOUTS:
        raise OptionError(f"--layout {layout}: choose folder, {', '.join(LAYOUTS)}.")
    read: Callable[[Path], list[Labelled]] = importlib.import_module(f"{__name__}.{layout}").read
    return read(folder)
