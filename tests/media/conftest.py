"""Tiny footage, made on the spot."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import OpenImageIO as oiio  # noqa: N813
import pytest

from understudy.media.formats.movie_store import build_frame
from understudy.media.formats.planes import plane_format


def pattern_planes(fmt_name: str, width: int, height: int, index: int) -> list[np.ndarray]:
    """Smooth, moving planes within limited range, different for every frame."""
    fmt = plane_format(fmt_name)
    assert fmt is not None
    planes = []
    for place, (rows, columns) in enumerate(fmt.shapes(height, width)):
        y, x = np.mgrid[:rows, :columns]
        wave = 0.5 + 0.3 * np.sin((x * (place + 1) + 3 * index) * 2 * np.pi / columns) * np.cos(y * 2 * np.pi / rows)
        if place == 0:
            wave[: rows // 4, : columns // 4] = 0.2  # a dark corner, top left, tells how the picture is turned
        planes.append(np.rint(wave * ((1 << fmt.bits) - 1)).astype(fmt.dtype))
    return planes


@pytest.fixture
def make_movie(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a movie; ``times`` are time stamps in ``time_base``, ``planes`` its pictures."""

    def make(
        name: str = "plate.mp4",
        *,
        frames: int = 6,
        size: tuple[int, int] = (64, 48),
        codec: str = "libx264",
        pix_fmt: str = "yuv420p",
        times: list[int] | None = None,
        time_base: Fraction = Fraction(1, 24000),
        rate: Fraction = Fraction(24000, 1001),
        matrix: tuple[int, ...] | None = None,
        audio: str | None = None,
        tags: tuple[int, int, int, int] = (2, 2, 2, 0),
        options: dict[str, str] | None = None,
        metadata: dict[str, str] | None = None,
        muxing: dict[str, str] | None = None,
        planes: Callable[[int], list[np.ndarray]] | None = None,
        seconds: float = 1.0,
    ) -> Path:
        path = tmp_path / name
        fmt = plane_format(pix_fmt.replace("yuvj", "yuv"))
        assert fmt is not None
        with av.open(str(path), "w", container_options=muxing or {}) as container:
            stream = container.add_stream(codec, rate=rate)
            stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
            stream.options = {"crf": "4"} | (options or {}) if codec.startswith("libx26") else options or {}
            if codec == "libx265":
                stream.options |= {"x265-params": "log-level=error", "preset": "ultrafast"}
            context = stream.codec_context
            context.color_primaries, context.color_trc, context.colorspace, context.color_range = tags
            if times is not None:
                stream.time_base = context.time_base = time_base
            if matrix is not None:
                stream.set_display_matrix(matrix)
            container.metadata.update(metadata or {})
            if "timecode" in container.metadata:
                stream.metadata["timecode"] = container.metadata.pop("timecode")
            sound = None
            if audio:
                sound = container.add_stream(audio, rate=48000)
                sound.layout = "mono"
            for index in range(frames):
                raw = build_frame((planes or (lambda i: pattern_planes(fmt.name, *size, i)))(index), fmt)
                if pix_fmt.startswith("yuvj"):
                    raw = raw.reformat(format=pix_fmt, src_color_range=2, dst_color_range=2)
                raw.colorspace, raw.color_range = tags[2], tags[3]
                raw.pts = index if times is None else times[index]
                raw.time_base = time_base if times is not None else 1 / rate
                container.mux(stream.encode(raw))
            container.mux(stream.encode(None))
            if sound is not None:
                wave = np.sin(np.arange(int(48000 * seconds)) * 0.05)
                for start in range(0, len(wave) - 1023, 1024):
                    piece = wave[None, start : start + 1024]
                    planar = sound.codec_context.format.name
                    scaled = piece.astype(np.float32) if "flt" in planar else (piece * 32000).astype(np.int16)
                    chunk = av.AudioFrame.from_ndarray(np.ascontiguousarray(scaled), planar, "mono")
                    chunk.rate, chunk.pts = 48000, start
                    container.mux(sound.encode(chunk))
                container.mux(sound.encode(None))
        return path

    return make


@pytest.fixture
def make_picture(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes one picture file through OpenImageIO, alpha and all as given."""

    def make(
        name: str,
        pixels: np.ndarray,
        *,
        channels: tuple[str, ...] = (),
        types: tuple[str, ...] = (),
        window=None,
        **header,
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = {"float16": "half", "float32": "float", "float64": "float"}.get(pixels.dtype.name, pixels.dtype.name)
        spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], kind)
        if channels:
            spec.channelnames = channels
        if types:
            spec.channelformats = tuple(oiio.TypeDesc(one) for one in types)
        if window is not None:  # x, y of the data window, then the display window's size
            spec.x, spec.y, spec.full_width, spec.full_height = window
        spec.attribute("oiio:UnassociatedAlpha", 1)
        if kind == "half" and path.suffix == ".tif":
            spec.attribute("tiff:half", 1)
        for key, value in header.items():
            if isinstance(value, tuple) and len(value) == 3:
                spec.attribute(key.replace("__", ":"), oiio.TypeDesc(value[0]), value[1:])
            else:
                spec.attribute(key.replace("__", ":"), value)
        output = oiio.ImageOutput.create(str(path))
        assert output.open(str(path), spec), output.geterror()
        assert output.write_image(pixels), output.geterror()
        output.close()
        return path

    return make


@pytest.fixture
def noise() -> Callable[..., np.ndarray]:
    """Return a function that gives random pixels of a type: integers over the whole range, floats from -1 to 3."""

    def make(dtype: str, channels: int, size: tuple[int, int] = (32, 24), seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        kind = np.dtype(dtype)
        shape = (size[1], size[0], channels)
        if kind.kind == "u":
            return rng.integers(0, np.iinfo(kind).max, shape, dtype=kind, endpoint=True)
        return (rng.random(shape) * 4 - 1).astype(kind)

    return make
