"""A movie file opened, and its picture track decoded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from understudy.errors import MediaError


def open_stream(path: Path) -> tuple[InputContainer, VideoStream]:
    """Open a movie and find its main video stream.

    Raises:
        MediaError: not there, empty, no movie, truncated, without a picture.
    """
    if path.stat().st_size == 0:
        raise MediaError(f"{path} is empty (0 bytes): it was never written or its copy failed. Copy it again.")
    try:
        container = av.open(str(path))
    except av.error.FFmpegError as error:
        with path.open("rb") as file:
            boxed = file.read(8)[4:] == b"ftyp"
        reason = (
            "the movie is truncated, its index (moov) at the end is missing. Copy it again"
            if boxed
            else "it is no movie that FFmpeg knows, or it is damaged or truncated. Check that it plays elsewhere, or copy it again"
        )
        raise MediaError(f"{path} cannot be opened: {reason}.") from error
    except OSError as error:
        raise MediaError(f"{path} cannot be read: {error.strerror or error}.") from error
    pictures = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not pictures:
        kinds = ", ".join(stream.type for stream in container.streams) or "nothing"
        container.close()
        raise MediaError(f"{path} has no picture track (it holds {kinds}). Choose footage with a picture.")
    if pictures[0].codec_context is None:
        container.close()
        raise MediaError(f"{path}: there is no decoder for its picture track here. Convert the movie first.")
    return container, pictures[0]


def decode_frames(path: Path, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Decode from where the container stands.

    Raises:
        MediaError: damaged data.
    """
    try:
        for packet in container.demux(stream):
            yield from stream.decode(packet)
    except av.error.EOFError:
        return
    except av.error.FFmpegError as error:
        raise MediaError(
            f"{path} cannot be decoded to its end ({error.strerror}): it is damaged or truncated. Copy it again."
        ) from error
