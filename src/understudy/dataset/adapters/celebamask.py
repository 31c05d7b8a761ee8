"""CelebAMask-HQ (Lee, Liu, Wu, Luo 2020) as it is published.

``CelebA-HQ-img/ID.jpg`` at 1024² and ``CelebAMask-HQ-mask-anno/0..14/ID_PART.png`` at 512², one mask for every part of a face
that is there. The parts are laid over each other in the data set's own order and become one region map a picture. Pictures 0 to
27999 are for training, 28000 to 29999 for tests (paper 001, section 4).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from understudy.dataset.pictures import encode_png
from understudy.dataset.region_crops import RegionEntry
from understudy.errors import DatasetError
from understudy.faces.regions import FROM_CELEBAMASK
from understudy.provenance.atomic import write_bytes

PICTURES, MASKS = "CelebA-HQ-img", "CelebAMask-HQ-mask-anno"
# In the order of the labels 1 to 18; later ones lie over earlier ones.
PARTS = (
    *("skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear"),
    *("mouth", "u_lip", "l_lip", "hair", "hat", "ear_r", "neck_l", "neck", "cloth"),
)
FIRST_TEST = 28_000
PER_FOLDER = 2_000
SIDE = 512


def read(
    folder: Path, keep: Path, *, part: str = "train", progress: Callable[[str, int, int | None], None] = lambda *_: None
) -> list[RegionEntry]:
    """The pictures of one part, ``train`` or ``test``; their region maps are made once, in ``keep``.

    Raises:
        DatasetError: not laid out as CelebAMask-HQ.
        StorageError: ``keep`` cannot be written.
    """
    if not (folder / PICTURES).is_dir() or not (folder / MASKS).is_dir():
        raise DatasetError(f"{folder} is not laid out as CelebAMask-HQ: it should hold {PICTURES}/ and {MASKS}/.")
    ids = sorted(int(path.stem) for path in (folder / PICTURES).glob("*.jpg") if path.stem.isdigit())
    chosen = [number for number in ids if (number >= FIRST_TEST) == (part == "test")]
    entries = []
    for done, number in enumerate(chosen):
        progress("regions", done, len(chosen))
        target = keep / f"{number:05d}.png"
        if not target.is_file():
            write_bytes(target, encode_png(regions_of(folder / MASKS, number)))
        entries.append(RegionEntry(picture=folder / PICTURES / f"{number}.jpg", regions=target, person=str(number)))
    progress("regions", len(chosen), len(chosen))
    if not entries:
        raise DatasetError(f"{folder / PICTURES} holds no pictures for {part}.")
    return entries


def regions_of(masks: Path, number: int) -> np.ndarray:
    """(512, 512) uint8 region map of picture ``number``.

    Raises:
        DatasetError: a mask of it is no picture of 512².
    """
    labels = np.zeros((SIDE, SIDE), np.uint8)
    for label, name in enumerate(PARTS, start=1):
        path = masks / str(number // PER_FOLDER) / f"{number:05d}_{name}.png"
        if not path.is_file():
            continue
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if mask is None or mask.shape != labels.shape:
            raise DatasetError(f"{path} cannot be read as a mask of {SIDE} x {SIDE} pixels; copy the data set anew.")
        labels[mask > 127] = label
    return FROM_CELEBAMASK[labels]
