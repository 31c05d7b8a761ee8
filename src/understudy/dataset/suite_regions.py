"""The true region maps of a suite's clips: an .npz with ``seg`` (n, h, w), which may name its classes and its frames.

seg       (n, h, w) uint8, a class for every pixel of a frame
classes   names of the classes in the order of their numbers; without it they are E4S's, as in ``faces.regions.Region``
numbers   (n,) the frames' numbers in the clip; without it they are all frames, from 1 on
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from understudy.errors import DatasetError
from understudy.faces.regions import Region

_OTHER_NAMES = {"eyebrows": "brows", "eyeglasses": "glasses", "teeth": "mouth"}


def read_suite_regions(path: Path) -> Mapping[int, np.ndarray]:
    """Frame number -> (h, w) uint8, ids of :class:`~understudy.faces.regions.Region`.

    Raises:
        DatasetError: unreadable, other shapes, or classes that are no regions.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            seg = np.asarray(file["seg"])
            classes = [str(name) for name in file["classes"]] if "classes" in file else None
            numbers = [int(value) for value in file["numbers"]] if "numbers" in file else list(range(1, len(seg) + 1))
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise DatasetError(f"{path} cannot be read as region maps ({error}); it needs 'seg' (n, h, w).") from error
    if seg.ndim != 3 or seg.dtype.kind not in "ui" or not len(seg) or len(numbers) != len(seg):
        raise DatasetError(
            f"{path}: 'seg' is {seg.dtype} {seg.shape} with {len(numbers)} frame numbers; needed are whole numbers (n, h, w) and n."
        )
    table = np.arange(len(Region), dtype=np.uint8) if classes is None else _table(classes, path)
    if int(seg.max()) >= len(table):
        raise DatasetError(f"{path} holds the class {int(seg.max())} and names {len(table)} classes.")
    return dict(zip(numbers, table[seg], strict=True))


def _table(classes: Sequence[str], path: Path) -> np.ndarray:
    """(classes,) the region of every class."""
    known = {region.name.lower(): region for region in Region}
    names = [_OTHER_NAMES.get(name, name) for name in classes]
    if unknown := [name for name in names if name not in known]:
        raise DatasetError(f"{path}: {unknown[0]!r} is no region; they are {', '.join(known)}.")
    return np.array([known[name] for name in names], np.uint8)
