"""Frames to picture files: bit for bit in the plate's own format, converted with care to another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813

from understudy.errors import MediaError
from understudy.media.colour import ColourSpace, from_view, to_view
from understudy.media.formats.exr import mark_integers
from understudy.media.formats.picture import PictureInfo, PictureMatter, Window, memory_file
from understudy.media.frame import Frame, quantise, to_unit
from understudy.provenance.stamp import EXR_ATTRIBUTE, Stamp, stamp_bytes


@dataclass(frozen=True, kw_only=True)
class _Format:
    """What a format holds: numpy types from the plainest on, channels at most, whether alpha is multiplied in."""

    name: str
    dtypes: tuple[str, ...]
    channels: int
    premultiplied: bool = False


_PNG = _Format(name="png", dtypes=("uint8", "uint16"), channels=4)
_JPEG = _Format(name="jpeg", dtypes=("uint8",), channels=3)
_TIFF = _Format(name="tiff", dtypes=("uint8", "uint16", "float16", "float32"), channels=4)
_FORMATS = {
    ".png": _PNG,
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".exr": _Format(name="openexr", dtypes=("float16", "float32"), channels=1024, premultiplied=True),
    ".dpx": _Format(name="dpx", dtypes=("uint8", "uint16"), channels=4),
    ".bmp": _Format(name="bmp", dtypes=("uint8",), channels=3),
    ".tga": _Format(name="targa", dtypes=("uint8",), channels=4),
    ".webp": _Format(name="webp", dtypes=("uint8",), channels=4),
    ".hdr": _Format(name="hdr", dtypes=("float32",), channels=3),
    ".sgi": _Format(name="sgi", dtypes=("uint8", "uint16"), channels=4),
    ".ppm": _Format(name="pnm", dtypes=("uint8", "uint16"), channels=3),
    ".pgm": _Format(name="pnm", dtypes=("uint8", "uint16"), channels=1),
}
_TYPES = {"uint8": "uint8", "uint16": "uint16", "float16": "half", "float32": "float", "float64": "double"}
# These would change pixels that nobody touched.
_LOSSY_EXR = ("dwaa", "dwab", "b44", "b44a", "pxr24")
WRITABLE = frozenset(_FORMATS)


def encode_picture(frame: Frame, suffix: str, *, stamp: Stamp | None = None, quality: int | None = None) -> bytes:
    """Return the bytes of a picture file.

    A frame that came from a file of this format keeps header, data window, compression, channel types and other parts, and
    every pixel that was not altered, bit for bit (JPEG and RGBE can not; lossy EXR compression becomes ZIP so that they stay).
    Another frame is converted: integers are display-encoded, floats linear; extra channels go where the format has no place.

    Args:
        frame: the frame.
        suffix: such as ".png".
        stamp: the mark to carry.
        quality: JPEG's, 1 to 100; None for 98.

    Raises:
        MediaError: a format that is not written here.
    """
    form = _FORMATS.get(suffix.lower())
    if form is None:
        raise MediaError(f"{suffix} pictures are not written here; {' '.join(sorted(WRITABLE))} are.")
    matter = frame.header.get("picture")
    if isinstance(matter, PictureMatter) and matter.info.format == form.name and frame.channels == matter.info.channels:
        parts = _same_format(frame, matter, stamp)
    else:
        parts = [_fresh(frame, form)]
        if stamp is not None and form.name == "openexr":
            parts[0][0].attribute(EXR_ATTRIBUTE, stamp.xmp())
    for spec, _ in parts:
        _settle(spec, form, quality)
    data = _encode(parts, form, frame)
    return stamp_bytes(data, stamp) if stamp is not None else data


def _same_format(frame: Frame, matter: PictureMatter, stamp: Stamp | None) -> list[tuple[Any, np.ndarray]]:
    """Return (spec, pixels) of every part, the frame's own with its new pixels."""
    info = matter.info
    spec = info.spec.copy()
    pixels = info.orientation.stored(frame.pixels)
    window = _window(frame, matter)
    spec.x, spec.y, spec.width, spec.height = window.x, window.y, window.width, window.height
    pixels = np.ascontiguousarray(pixels[window.within(matter.canvas)])
    whole = _integers(spec)
    if whole and frame.path is not None:
        source = _reopened(frame.path)
        try:
            held = np.zeros((window.height, window.width, len(whole)), np.float32)
            held[info.data.within(window)] = _integer_bits(source, info.part, whole)
        finally:
            source.close()
        pixels[..., whole] = held
    if stamp is not None and info.format == "openexr":
        spec.attribute(EXR_ATTRIBUTE, stamp.merged(spec.get_string_attribute(EXR_ATTRIBUTE)))
    parts = [(spec, pixels)]
    if info.parts > 1 and frame.path is not None and info.format in ("openexr", "tiff"):
        others = _read_parts(frame.path, info)
        parts = others[: info.part] + parts + others[info.part :]
    return parts


def _window(frame: Frame, matter: PictureMatter) -> Window:
    """Return the plate's data window, grown where the frame was altered outside of it."""
    data, canvas = matter.info.data, matter.canvas
    altered = frame.altered
    if data == canvas or altered is None:
        return data if altered is not None else canvas
    altered = matter.info.orientation.stored(altered).copy()
    altered[data.within(canvas)] = False
    rows, columns = np.flatnonzero(altered.any(axis=1)), np.flatnonzero(altered.any(axis=0))
    if not rows.size:
        return data
    new = Window(
        canvas.x + int(columns[0]),
        canvas.y + int(rows[0]),
        int(columns[-1] - columns[0]) + 1,
        int(rows[-1] - rows[0]) + 1,
    )
    return data.joined(new)


def _fresh(frame: Frame, form: _Format) -> tuple[Any, np.ndarray]:
    """Return (spec, pixels) for a frame that comes from elsewhere."""
    dtype = _fitting(frame.pixels.dtype, form)
    places = list(frame.colour_channels)
    lower = [name.lower() for name in frame.channels]
    alpha = lower.index("a") if "a" in lower and places != [lower.index("a")] else None
    data_only = lower == ["a"]
    if form.channels in (2, 4) or form.channels > 4:
        chosen = places + ([alpha] if alpha is not None else [])
    else:
        chosen = places[: form.channels]
    target = ColourSpace.LINEAR if dtype.kind == "f" else ColourSpace.DISPLAY
    if dtype.kind == frame.pixels.dtype.kind or data_only:
        target = frame.colour
    colour = frame.pixels[..., places]
    held = frame.pixels[..., [alpha]] if alpha is not None else None
    if colour.dtype != dtype or target is not frame.colour:
        premultiplied = frame.pixels.dtype.kind == "f"
        value = to_unit(colour)
        cover = to_unit(held) if held is not None else None
        if cover is not None and premultiplied and not form.premultiplied:
            value = np.divide(value, cover, out=value, where=cover > 0)
        if target is not frame.colour:
            value = from_view(to_view(value, frame.colour), target)
        if cover is not None and form.premultiplied and not premultiplied:
            value = value * cover
        if dtype.kind == "u":
            value = np.nan_to_num(value, nan=0.0)
        colour = quantise(value, dtype)
        held = quantise(np.nan_to_num(cover), dtype) if cover is not None else None
    pixels = np.concatenate([colour, held], axis=2) if held is not None and alpha in chosen else colour
    names = ["R", "G", "B"] if len(places) == 3 else ["Y"]
    if form.channels > 4:
        rest = [index for index in range(len(frame.channels)) if index not in (*places, alpha)]
        extra = to_unit(frame.pixels[..., rest]).astype(dtype)
        pixels = np.concatenate([pixels, extra], axis=2)
        names = names + (["A"] if alpha is not None else []) + [frame.channels[index] for index in rest]
    elif alpha in chosen:
        names = [*names, "A"]
    if form.name in ("jpeg", "bmp", "hdr", "webp") or (form.name == "pnm" and form.channels == 3):
        pixels = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 and form.name != "jpeg" else pixels
    height, width = pixels.shape[:2]
    spec = oiio.ImageSpec(width, height, pixels.shape[2], _TYPES[dtype.name])
    if pixels.shape[2] == len(names):
        spec.channelnames = tuple(names)
    if form.name == "openexr":
        spec.attribute("compression", "zip")
    if form.name == "dpx" and dtype == np.uint16:
        spec.attribute("oiio:BitsPerSample", 10)
    return spec, np.ascontiguousarray(pixels)


def _fitting(dtype: np.dtype, form: _Format) -> np.dtype:
    """Choose the format's type that loses least: 8-bit pictures fit in half, 16-bit ones need float."""
    if dtype.name in form.dtypes:
        return dtype
    order = {
        "uint8": ("uint16", "float16", "float32"),
        "uint16": ("float32", "uint8"),
        "float16": ("float32", "uint16", "uint8"),
        "float32": ("uint16", "uint8"),
    }[dtype.name]
    return np.dtype(next(name for name in order if name in form.dtypes))


def _settle(spec: Any, form: _Format, quality: int | None) -> None:
    """Set what keeps a format from changing pixels behind our back."""
    spec.attribute("oiio:UnassociatedAlpha", 1)
    compression = spec.get_string_attribute("compression").lower()
    if form.name == "openexr" and compression.split(":")[0] in _LOSSY_EXR:
        spec.attribute("compression", "zip")
    elif form.name == "tiff":
        if compression in ("jpeg", "ojpeg"):
            spec.attribute("compression", "zip")
        if str(spec.format) == "half":
            spec.attribute("tiff:half", 1)
    elif form.name == "webp":
        spec.attribute("compression", "lossless")
    elif form.name == "jpeg":
        spec.attribute("Compression", f"jpeg:{98 if quality is None else max(1, min(100, quality))}")
        spec.attribute("jpeg:subsampling", "4:4:4")


def _encode(parts: list[tuple[Any, np.ndarray]], form: _Format, frame: Frame) -> bytes:
    integers = [[spec.channel_name(index) for index in _integers(spec)] for spec, _ in parts]
    for spec, _ in parts:
        if _integers(spec):
            spec.channelformats = tuple(_as_float(spec.channelformat(index)) for index in range(spec.nchannels))
            spec.format = oiio.TypeDesc("float")
    with memory_file("." + form.name) as path:
        output = oiio.ImageOutput.create(form.name)
        if output is None:
            raise MediaError(f"{form.name} pictures cannot be written here ({oiio.geterror()}). Choose EXR or PNG.")
        specs = tuple(spec for spec, _ in parts)
        good = output.open(path, specs) if len(parts) > 1 and form.name == "openexr" else output.open(path, specs[0])
        for index, (spec, pixels) in enumerate(parts):
            if good and index:
                good = output.open(path, spec, "AppendSubimage")
            good = good and output.write_image(pixels)
        closed = output.close()
        reason = " ".join(output.geterror().split())[:200]
        if not good or not closed:
            raise MediaError(
                f"Frame {frame.number} cannot be written as {form.name} ({reason}). Choose another format, such as EXR or PNG."
            )
        data = Path(path).read_bytes()
    return mark_integers(data, integers) if any(integers) else data


def _integers(spec: Any) -> list[int]:
    """Return which channels are 32-bit integers (object numbers, say), which OpenImageIO would squeeze through a float."""
    return [
        index for index in range(spec.nchannels) if str(spec.channelformat(index)) in ("uint", "int", "uint32", "int32")
    ]


def _as_float(form: Any) -> Any:
    return oiio.TypeDesc("float") if str(form) in ("uint", "int", "uint32", "int32") else form


def _integer_bits(source: Any, part: int, channels: list[int]) -> np.ndarray:
    """Read integer channels as floats of the same bits; :func:`mark_integers` makes integers of them again in the file."""
    read = [np.asarray(source.read_image(part, 0, index, index + 1, "uint")) for index in channels]
    return np.concatenate(read, axis=2).view(np.float32)


def _reopened(path: Path) -> Any:
    source = oiio.ImageInput.open(str(path))
    if source is None:
        raise MediaError(f"{path} has gone or changed since it was read. Bring it back and run the same command again.")
    return source


def _read_parts(path: Path, info: PictureInfo) -> list[tuple[Any, np.ndarray]]:
    """Read the file's other parts as they are."""
    source = _reopened(path)
    parts = []
    try:
        for part in range(info.parts):
            if part == info.part:
                continue
            source.seek_subimage(part, 0)
            spec = source.spec().copy()
            whole = _integers(spec)
            pixels = source.read_image(part, 0, 0, spec.nchannels, "float" if whole else str(spec.format))
            if pixels is None:
                raise MediaError(f"{path}: its part {part + 1} cannot be read ({source.geterror()}). Render it again.")
            pixels = np.array(pixels)
            if whole:
                pixels[..., whole] = _integer_bits(source, part, whole)
            parts.append((spec, pixels))
    finally:
        source.close()
    return parts
