"""Pictures, read and written through OpenImageIO, bit for bit where the format can: PNG, JPEG, TIFF, EXR, DPX and others.

EXR frames of one clip share a canvas, the display window grown to hold every frame's data window, so that a face stays at
the same place though the data window moves; on writing each frame gets its own data window back.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813

from understudy.errors import MediaError
from understudy.media.colour import ColourSpace
from understudy.media.formats.orientation import Orientation
from understudy.media.frame import Frame, find_colour_channels

# Alpha stays as the file has it, neither multiplied in nor divided out.
_AS_STORED = oiio.ImageSpec()
_AS_STORED.attribute("oiio:UnassociatedAlpha", 1)

_LINEAR_FORMATS = {"openexr", "hdr"}
_DTYPES = {"uint8": np.uint8, "uint16": np.uint16, "half": np.float16, "float": np.float32}
# How a picture stored in each of Exif's eight orientations is turned upright: transposed, rows, columns mirrored.
_EXIF = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels: its top-left corner and size, in the file's own coordinates."""

    x: int
    y: int
    width: int
    height: int

    def joined(self, other: Window) -> Window:
        """Return the smallest window that holds both."""
        x, y = min(self.x, other.x), min(self.y, other.y)
        right = max(self.x + self.width, other.x + other.width)
        bottom = max(self.y + self.height, other.y + other.height)
        return Window(x, y, right - x, bottom - y)

    def within(self, canvas: Window) -> tuple[slice, slice]:
        """Return rows and columns of this window on ``canvas``."""
        top, left = self.y - canvas.y, self.x - canvas.x
        return slice(top, top + self.height), slice(left, left + self.width)


@dataclass(frozen=True, kw_only=True)
class PictureInfo:
    """A picture's header.

    Attributes:
        format: OpenImageIO's name of it.
        part: which of the file's parts holds the picture.
        parts: how many there are.
        data: data window.
        display: display window; the same as ``data`` but for EXR.
        dtype: numpy type that holds all channels.
        channels: names.
        orientation: how it is turned upright.
        rate: frames a second, where the header says.
        spec: OpenImageIO's own.
    """

    format: str
    part: int
    parts: int
    data: Window
    display: Window
    dtype: np.dtype
    channels: tuple[str, ...]
    orientation: Orientation
    rate: Fraction | None
    spec: Any

    @property
    def linear(self) -> bool:
        """Whether numbers are taken for linear light unless told otherwise."""
        return self.format in _LINEAR_FORMATS or (self.dtype.kind == "f")

    @property
    def canvas(self) -> Window:
        """The smallest window with all there is."""
        return self.data.joined(self.display)


@dataclass(frozen=True, kw_only=True)
class PictureMatter:
    """What a frame from a picture carries for the picture writer."""

    info: PictureInfo
    canvas: Window


def read_info(path: Path) -> PictureInfo:
    """Read a picture's header.

    Raises:
        MediaError: empty, unreadable, damaged, deep, or without colour.
    """
    with _opened(path) as source:
        parts = max(1, source.spec().get_int_attribute("oiio:subimages", 1))
        refusal: MediaError | None = None
        for part in range(parts):
            if part and not source.seek_subimage(part, 0):
                break
            spec = source.spec().copy()
            if spec.deep:
                raise MediaError(f"{path} is a deep picture (several samples a pixel): flatten it first.")
            channels = tuple(spec.channelnames)
            try:
                find_colour_channels(channels, path)
            except MediaError as error:
                refusal = refusal or error
                continue
            return _info(source.format_name(), part, parts, spec, channels)
    assert refusal is not None
    raise refusal


def _info(name: str, part: int, parts: int, spec: Any, channels: tuple[str, ...]) -> PictureInfo:
    data = Window(spec.x, spec.y, spec.width, spec.height)
    display = Window(spec.full_x, spec.full_y, spec.full_width, spec.full_height) if name == "openexr" else data
    formats = {str(form) for form in spec.channelformats} or {str(spec.format)}
    if len(formats) == 1 and (only := formats.pop()) in _DTYPES:
        dtype = np.dtype(_DTYPES[only])
    else:
        dtype = np.dtype(np.float32)
    turned = _EXIF.get(spec.get_int_attribute("Orientation", 1))
    rate = spec.getattribute("FramesPerSecond") or spec.getattribute("framesPerSecond")
    if rate is None and (
        frames := spec.get_float_attribute("dpx:FrameRate") or spec.get_float_attribute("dpx:TemporalFrameRate")
    ):
        rate = (
            Fraction(frames).limit_denominator(1001).numerator,
            Fraction(frames).limit_denominator(1001).denominator,
        )
    return PictureInfo(
        format=name,
        part=part,
        parts=parts,
        data=data,
        display=display,
        dtype=dtype,
        channels=channels,
        orientation=Orientation(*turned) if turned else Orientation(),
        rate=Fraction(*rate) if isinstance(rate, tuple) and rate[0] > 0 and rate[1] > 0 else None,
        spec=spec,
    )


def read_picture(
    path: Path, *, number: int, time: Fraction, colour: ColourSpace | None, canvas: Window | None = None
) -> Frame:
    """Read a picture whole.

    Args:
        path: the file.
        number: its frame number.
        time: its seconds in the clip.
        colour: what its numbers mean; None for the format's usual.
        canvas: the window that the frame is to cover; None for its own.

    Raises:
        MediaError: unreadable or damaged.
    """
    info = read_info(path)
    canvas = canvas or info.canvas
    with _opened(path) as source:
        if info.part:
            source.seek_subimage(info.part, 0)
        pixels = _pixels(source, info, path)
    if canvas != info.data:
        spread = np.zeros((canvas.height, canvas.width, pixels.shape[2]), pixels.dtype)
        spread[info.data.within(canvas)] = pixels
        pixels = spread
    pixels = np.ascontiguousarray(info.orientation.upright(pixels))
    pixels.flags.writeable = False
    return Frame(
        pixels=pixels,
        original=pixels,
        channels=info.channels,
        number=number,
        time=time,
        colour=colour or (ColourSpace.LINEAR if info.linear else ColourSpace.DISPLAY),
        path=path,
        header=MappingProxyType({"picture": PictureMatter(info=info, canvas=canvas)}),
    )


def upright_size(info: PictureInfo, canvas: Window) -> tuple[int, int]:
    """Return (width, height) of a frame on ``canvas``."""
    return info.orientation.upright_size((canvas.width, canvas.height))


def _pixels(source: Any, info: PictureInfo, path: Path) -> np.ndarray:
    names = {np.uint8: "uint8", np.uint16: "uint16", np.float16: "half", np.float32: "float"}
    pixels = source.read_image(info.part, 0, 0, len(info.channels), names[info.dtype.type])
    if pixels is None or source.has_error:
        reason = " ".join(source.geterror().split())
        reason = reason[:160] or "its pixels cannot be read"
        raise MediaError(f"{path} is damaged or truncated ({reason}). Copy or render it again.")
    return np.asarray(pixels).reshape(info.data.height, info.data.width, len(info.channels))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        if path.stat().st_size == 0:
            raise MediaError(f"{path} is empty (0 bytes): its rendering or copy failed. Make it again.")
        with path.open("rb"):
            pass
    except OSError as error:
        raise MediaError(f"{path} cannot be read: {error.strerror}.") from error
    source = oiio.ImageInput.open(str(path), _AS_STORED)
    if source is None:
        reason = " ".join(oiio.geterror().split())
        raise MediaError(
            f"{path} cannot be read as a picture ({reason[:160]}). Is it damaged, or of another format than its name says?"
        )
    try:
        yield source
    finally:
        source.close()


@contextmanager
def memory_file(suffix: str) -> Iterator[str]:
    """Yield a path to write to that is no file on the disk, where the system has such.

    Some image libraries end the whole process on a full disk (libjpeg) or report success (libpng); so pictures are encoded
    in memory, and our own code alone writes to the disk and sees its errors.
    """
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("picture")
        try:
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        descriptor, name = tempfile.mkstemp(suffix)
        os.close(descriptor)
        try:
            yield name
        finally:
            with suppress(OSError):
                Path(name).unlink()
