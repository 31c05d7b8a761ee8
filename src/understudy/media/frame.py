"""One picture of a plate, in the plate's own numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from understudy.errors import InternalError, MediaError
from understudy.media.colour import ColourSpace, from_view, to_view

LUMA = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
"""Rec. 709 weights, used where a colour result goes into a gray plate."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """A frame as the plate has it.

    Attributes:
        pixels: (H, W, C) in the plate's own type: uint8, uint16, float16 or float32; read-only where it came from a file.
            Movies of more than 8 bits come as uint16 over the full 16-bit range (65535 is white).
        channels: one name a channel, such as ("R", "G", "B"), ("R", "G", "B", "A", "Z"), ("Y",).
        number: the plate's own frame number; movies count from 1.
        time: seconds from the clip's first frame.
        colour: what the numbers mean.
        path: the file it came from, for sequences and stills the frame's own.
        header: the format's own matter (attributes, data window, movie planes); opaque to all but the format that wrote it.
        original: the pixels as they were read, by which the writers know what was altered.
    """

    pixels: np.ndarray
    channels: tuple[str, ...]
    number: int = 1
    time: Fraction = Fraction(0)
    colour: ColourSpace = ColourSpace.DISPLAY
    path: Path | None = None
    header: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    original: np.ndarray | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] != len(self.channels):
            raise InternalError(f"A frame needs (H, W, {len(self.channels)}) pixels, not {self.pixels.shape}.")

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    @property
    def colour_channels(self) -> tuple[int, ...]:
        """Places of R, G, B in ``channels``, or the one place of a gray picture.

        Raises:
            MediaError: the picture has neither.
        """
        return find_colour_channels(self.channels, self.path)

    @property
    def nonfinite(self) -> int:
        """How many pixels have a NaN or an infinity in a colour channel."""
        if self.pixels.dtype.kind != "f":
            return 0
        return int((~np.isfinite(self.pixels[..., list(self.colour_channels)])).any(axis=-1).sum())

    @property
    def altered(self) -> np.ndarray | None:
        """(H, W) bool, where a pixel is no longer bit for bit the one that was read; None for a frame that no file gave."""
        if (
            self.original is None
            or self.original.shape != self.pixels.shape
            or self.original.dtype != self.pixels.dtype
        ):
            return None
        if self.pixels is self.original:
            return np.zeros(self.pixels.shape[:2], dtype=bool)
        # Bits are compared, not values: NaN equals itself and -0 differs from 0.
        bits = np.dtype(f"u{self.pixels.dtype.itemsize}")
        return (np.ascontiguousarray(self.pixels).view(bits) != np.ascontiguousarray(self.original).view(bits)).any(
            axis=-1
        )

    def rgb(self) -> np.ndarray:
        """Return (H, W, 3) float32 in the plate's own space; gray is repeated, integers are scaled to [0, 1], NaN is kept."""
        places = self.colour_channels
        first, count = places[0], len(places)
        # A slice is a view; picking channels one by one would copy the picture first.
        in_row = places == tuple(range(first, first + count))
        scaled = to_unit(self.pixels[..., first : first + count] if in_row else self.pixels[..., list(places)])
        return np.repeat(scaled, 3, axis=-1) if scaled.shape[-1] == 1 else scaled

    def view(self) -> np.ndarray:
        """Return (H, W, 3) float32 in view space; may leave [0, 1]; NaN and infinities become 0 (counted in ``nonfinite``)."""
        view = to_view(self.rgb(), self.colour)
        if self.pixels.dtype.kind == "f":
            np.nan_to_num(view, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        return view

    def with_view(self, view: np.ndarray, where: np.ndarray) -> Frame:
        """Return this frame with the pixels at ``where`` taken from ``view``; all else stays bit for bit.

        Integer plates are rounded and clipped; float plates keep values below 0 and above 1. Gray plates get the luma.
        Alpha and extra channels stay as they are.

        Args:
            view: (H, W, 3) float, view space.
            where: (H, W) bool.

        Raises:
            InternalError: shapes that do not fit, or NaN or infinities in ``view`` where it is to be used.
        """
        height, width = self.pixels.shape[:2]
        if view.shape != (height, width, 3) or where.shape != (height, width):
            raise InternalError(
                f"Frame {self.number} is {width} x {height}; view {view.shape} and where {where.shape} do not fit it."
            )
        where = where.astype(bool, copy=False)
        rows, columns = np.flatnonzero(where.any(axis=1)), np.flatnonzero(where.any(axis=0))
        if not rows.size:
            return self
        window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        inside = where[window]
        new = np.asarray(view[window][inside], dtype=np.float32)
        if not np.isfinite(new).all():
            count = int((~np.isfinite(new)).any(axis=-1).sum())
            raise InternalError(f"Frame {self.number}: {count} of the new pixels are NaN or infinite.")
        new = from_view(new, self.colour)
        places = list(self.colour_channels)
        if len(places) == 1:
            new = new @ LUMA[:, None]
        pixels = self.pixels.copy()
        target = pixels[window]
        for index, place in enumerate(places):
            target[..., place][inside] = quantise(new[:, index], self.pixels.dtype)
        return replace(self, pixels=pixels)


def find_colour_channels(channels: tuple[str, ...], path: Path | str | None = None) -> tuple[int, ...]:
    """Return the places of R, G and B (of the main layer, else of the first that has all three), or of the gray channel.

    Raises:
        MediaError: there is neither.
    """
    lower = [name.lower() for name in channels]
    layers = [""] + [name[:-1] for name in lower if name.endswith(".r")]
    for layer in layers:
        if all(layer + name in lower for name in "rgb"):
            return tuple(lower.index(layer + name) for name in "rgb")
    for gray in ("y", "l", "i"):
        if gray in lower and not {"ry", "by"} & set(lower):
            return (lower.index(gray),)
    if len(channels) == 1:
        return (0,)
    if len(channels) == 2 and "a" in lower:
        return (1 - lower.index("a"),)
    raise MediaError(
        f"{path or 'The picture'} has the channels {', '.join(channels)}: R, G, B or a gray channel Y is needed. "
        "Write it with one of these."
    )


def to_unit(values: np.ndarray) -> np.ndarray:
    """Return ``values`` as new float32: integers scaled to [0, 1], floats as they are."""
    if values.dtype.kind == "u":
        return values * np.float32(1 / np.iinfo(values.dtype).max)
    return values.astype(np.float32)


def quantise(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return float ``values`` in ``dtype``: scaled, rounded and clipped for integers; half is held within its finite range."""
    dtype = np.dtype(dtype)
    if dtype.kind == "u":
        top = np.float64(np.iinfo(dtype).max)
        return np.rint(np.clip(values, 0.0, 1.0) * top).astype(dtype)
    if dtype == np.float16:
        return np.clip(values, -65504.0, 65504.0).astype(dtype)
    return values.astype(dtype)
