"""One lossless file a frame: FFV1 with checksums in Matroska, which any viewer opens."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import av.error
import av.video.frame
import numpy as np

from understudy.errors import MediaError
from understudy.media.formats.planes import PlaneFormat

# FFV1 has no planar RGB of 8 bits; these hold the same bytes.
_RENAMED = {"gbrp": "bgr0", "gbrap": "bgra"}


def save_frame(path: Path, planes: list[np.ndarray], fmt: PlaneFormat) -> None:
    """Write ``planes`` to ``path`` (.mkv), bit for bit."""
    raw = build_frame(planes, fmt)
    held = _RENAMED.get(fmt.name, fmt.name)
    if held != fmt.name:
        raw = raw.reformat(format=held)
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=Fraction(24))
        stream.width, stream.height, stream.pix_fmt = raw.width, raw.height, held
        stream.options = {"level": "3", "slicecrc": "1"}
        container.mux(stream.encode(raw))
        container.mux(stream.encode(None))


def load_frame(path: Path, fmt: PlaneFormat) -> av.video.frame.VideoFrame:
    """Read the frame of :func:`save_frame`, in layout ``fmt``.

    Raises:
        MediaError: the file was damaged after it was written.
    """
    try:
        with av.open(str(path)) as container:
            raw = next(container.decode(video=0))
    except (av.error.FFmpegError, StopIteration) as error:
        raise MediaError(
            f"{path} is damaged; delete it and run the same command again, the frame is then made anew."
        ) from error
    return raw if raw.format.name == fmt.name else raw.reformat(format=fmt.name)


def build_frame(planes: list[np.ndarray], fmt: PlaneFormat) -> av.video.frame.VideoFrame:
    """Put planes into a frame of PyAV's."""
    height, width = planes[0].shape
    raw = av.VideoFrame(width, height, fmt.name)
    for target, plane in zip(raw.planes, planes, strict=True):
        lines = np.zeros((target.height, target.line_size), dtype=np.uint8)
        lines[: plane.shape[0], : plane.shape[1] * plane.itemsize] = np.ascontiguousarray(plane).view(np.uint8)
        target.update(lines.tobytes()[: target.buffer_size].ljust(target.buffer_size, b"\0"))
    return raw
