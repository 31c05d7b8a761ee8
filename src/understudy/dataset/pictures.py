"""The picture files of a face set."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from understudy.errors import DatasetError, InternalError


def names_in(folder: Path) -> set[str]:
    """Names, without ``.png``, of the pictures that lie in ``folder`` (which may be missing)."""
    try:
        with os.scandir(folder) as files:
            return {file.name[:-4] for file in files if file.name.endswith(".png") and not file.name.startswith(".")}
    except FileNotFoundError:
        return set()


def sweep(folder: Path) -> None:
    """Remove what a killed process left half written below ``folder``; an hour old, so that nobody is still at it."""
    for file in folder.glob("*/.*.tmp.png"):
        try:
            if time.time() - file.stat().st_mtime > 3600:
                file.unlink()
        except OSError:
            continue  # somebody else was faster


def encode_png(picture: np.ndarray) -> bytes:
    """A PNG file's content: picture (H, W) or (H, W, 3) RGB, uint8 or uint16."""
    import cv2

    pixels = picture[..., ::-1] if picture.ndim == 3 else picture
    done, data = cv2.imencode(".png", np.ascontiguousarray(pixels), [cv2.IMWRITE_PNG_COMPRESSION, 4])
    if not done:
        raise InternalError(f"a picture of shape {picture.shape} could not be encoded")
    return data.tobytes()


def read_png(path: Path, *, colour: bool) -> np.ndarray:
    """Read a PNG as float32 in [0, 1]: (H, W, 3) RGB if ``colour``, else (H, W).

    Raises:
        DatasetError: not there, or no picture.
    """
    import cv2

    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except FileNotFoundError as error:
        raise DatasetError(f"{path} is gone; open the face set again to notice what was deleted.") from error
    pixels = cv2.imdecode(data, cv2.IMREAD_ANYDEPTH | (cv2.IMREAD_COLOR if colour else 0)) if len(data) else None
    if pixels is None:
        raise DatasetError(f"{path} cannot be read as a picture; delete it, or gather its clip again with --again.")
    scaled = pixels.astype(np.float32) / np.float32(65535 if pixels.dtype == np.uint16 else 255)
    return np.ascontiguousarray(scaled[..., ::-1]) if colour else scaled


def resized(picture: np.ndarray, size: int) -> np.ndarray:
    """A float picture at ``size`` pixels a side: areas averaged where it shrinks, linear where it grows."""
    import cv2

    if picture.shape[:2] == (size, size):
        return picture
    shrinks = size < picture.shape[0]
    return cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
