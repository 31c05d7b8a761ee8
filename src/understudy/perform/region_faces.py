"""A picture's face as a family that edits by region sees it: a crop, and the region map of that crop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from understudy.errors import CheckpointError, OptionError
from understudy.faces.align import CropTransform
from understudy.faces.regions import Region
from understudy.faces.warp import invert, warp
from understudy.perform.regions import CANVAS, Reading, plate_shares, read_face, scaled

if TYPE_CHECKING:
    from pathlib import Path

    from understudy.family import Family, Parser, RegionEditor


@dataclass(frozen=True, kw_only=True)
class RegionFace:
    """A face, ready to be taken apart.

    Attributes:
        crop: (size, size, 3) float32 RGB in [0, 1], view space.
        regions: (h, h) uint8 of the same square.
        transform: plate pixels to the crop's unit square.
    """

    crop: np.ndarray
    regions: np.ndarray
    transform: CropTransform


def find_editor(checkpoint: Path | None, method: str | None = None) -> tuple[Family, Path]:
    """The family and checkpoint that edit by region: the given one, or the first family's default weights.

    Raises:
        OptionError: no such method, or it does not edit.
        CheckpointError: the checkpoint is of a family that does not, or there are no default weights.
    """
    from understudy import families
    from understudy.checkpoint import read_card
    from understudy.family import Task

    able = [name for name in families.names() if Task.EDIT in families.get(name).tasks]
    if method is not None and method not in able:
        raise OptionError(f"--method {method} does not edit by region; these do: {', '.join(able) or 'none'}.")
    if checkpoint is not None:
        name = read_card(checkpoint).family
        if name not in able or method not in (None, name):
            raise CheckpointError(
                f"{checkpoint} is a {name} model, and one of {method or ' or '.join(able)} is needed; choose another."
            )
        return families.get(name), checkpoint
    for name in [method] if method is not None else able:
        weights = families.get(name).default_weights
        if weights is not None and weights.is_file():
            return families.get(name), weights
    raise CheckpointError(
        f"{method or 'No family that edits by region'} comes {'without' if method else 'with'} weights here; train it "
        f"(understudy train {able[0] if able else 'regional_inversion'} --stage inversion), then name the result with --run."
    )


def region_face(
    view: np.ndarray,
    landmarks: np.ndarray,
    transform: CropTransform,
    editor: RegionEditor,
    parser: Parser,
    *,
    map_side: int | None = None,
) -> RegionFace:
    """Read one face of a picture.

    Args:
        view: (H, W, 3) float32 RGB, view space.
        landmarks: (478, 2 or 3) plate pixels.
        transform: the face's canonical crop (``faces.align.canonical_transform``).
        map_side: pixels a side of the region map; None for as many as the editor makes use of.
    """
    crop = scaled(transform, editor.oval_share)
    reading = read_face(view, landmarks, transform, parser)
    return RegionFace(
        crop=np.clip(crop.to_crop(np.asarray(view, np.float32), editor.size), 0, 1),
        regions=crop_regions(reading, crop, map_side or editor.map_size),
        transform=crop,
    )


def plate_regions(view: np.ndarray, landmarks: np.ndarray, transform: CropTransform, parser: Parser) -> np.ndarray:
    """(H, W) uint8 region map of a whole picture with one face, as ``understudy regions`` writes it; arguments as above."""
    view = np.asarray(view, np.float32)
    labels = np.empty(view.shape[:2], np.uint8)
    for rows, shares in plate_shares(view, [read_face(view, landmarks, transform, parser)], [0]):
        labels[rows] = shares.argmax(-1)
    return labels


def crop_shares(reading: Reading, transform: CropTransform, size: int) -> np.ndarray:
    """(size, size, 12) float32 shares of the regions in a crop, from what was read of the face."""
    matrix = transform.for_size(size) @ np.vstack([invert(reading.transform.for_size(CANVAS)), (0, 0, 1)])
    # OpenCV warps four channels at once.
    parts = [np.ascontiguousarray(reading.shares[..., first : first + 4]) for first in range(0, len(Region), 4)]
    return np.concatenate([warp(part, matrix, (size, size)) for part in parts], -1)


def crop_regions(reading: Reading, transform: CropTransform, size: int) -> np.ndarray:
    """(size, size) uint8 region map of a crop, from what was read of the face."""
    return crop_shares(reading, transform, size).argmax(-1).astype(np.uint8)


def map_in_crop(labels: np.ndarray, transform: CropTransform, size: int) -> np.ndarray:
    """(size, size) uint8: a plate's region map (H, W) in a crop, every pixel the nearest one's."""
    matrix = transform.for_size(size).copy()
    matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5  # OpenCV counts pixel centres as whole numbers
    return cv2.warpAffine(labels, matrix, (size, size), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
