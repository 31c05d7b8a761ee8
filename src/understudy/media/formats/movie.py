"""Movies, read through PyAV: any codec that FFmpeg decodes, upright, by frame number, with their own time stamps."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from understudy.errors import MediaError
from understudy.media.clip import Clip
from understudy.media.colour import ColourSpace
from understudy.media.formats.movie_index import MovieIndex, index_movie
from understudy.media.formats.movie_stream import decode_frames, open_stream
from understudy.media.formats.orientation import Orientation
from understudy.media.formats.planes import ColourTags, PlaneFormat, canonical_format, to_pixels
from understudy.media.formats.timecode import advance
from understudy.media.frame import Frame
from understudy.media.pattern import ranges


@dataclass(frozen=True, kw_only=True)
class MovieMatter:
    """What a movie frame carries for the movie writer: its planes as stored, before turning upright."""

    planes: list[np.ndarray]
    format: PlaneFormat
    tags: ColourTags
    orientation: Orientation


class MovieClip(Clip):
    """A movie. Frames count from 1; the time stamps stay the stream's own (``times``)."""

    def __init__(
        self, path: Path, *, first: int | None = None, last: int | None = None, colour: ColourSpace | None = None
    ):
        self.kind = "movie"
        self.source = path
        self.colour = colour or ColourSpace.DISPLAY
        self._container, self._stream = open_stream(path)
        self.index: MovieIndex = index_movie(path, last=last)
        self.numbers = _chosen(path, len(self.index.times), first, last)
        self.rate = self.index.rate
        opening = next(decode_frames(path, self._container, self._stream), None)
        if opening is None:
            raise MediaError(
                f"{path} holds no frame that can be decoded: the file is damaged or truncated. Copy it again."
            )
        self.orientation = Orientation.of_frame(opening)
        self.tags = tags_of(opening, self._stream)
        self.format = canonical_format(opening.format.name)
        self.coded_size = (opening.width, opening.height)
        self.size = self.orientation.upright_size(self.coded_size)
        self.dtype = self.format.dtype
        self.channels = self.format.channels
        context = self._stream.codec_context
        self.codec, self.codec_tag = context.name, context.codec_tag
        self.metadata, self.stream_metadata = dict(self._container.metadata), dict(self._stream.metadata)
        self.sample_aspect_ratio = context.sample_aspect_ratio
        self._forward: tuple[int, Iterator[Frame]] | None = None

    @property
    def timecode(self) -> str | None:
        """Time code of the first frame in ``numbers``, such as ``01:00:00:00``; None if the movie has none."""
        told = [
            self.stream_metadata,
            self.metadata,
            *(dict(stream.metadata) for stream in self._container.streams.data),
        ]
        start = next((tags["timecode"] for tags in told if tags.get("timecode")), None)
        return None if start is None else advance(start, self.numbers[0] - 1, self.rate)

    @property
    def times(self) -> list[Fraction]:
        """Seconds of every frame in ``numbers`` from the movie's first frame."""
        start = self.index.times[0]
        return [(self.index.times[number - 1] - start) * self.index.time_base for number in self.numbers]

    def __iter__(self) -> Iterator[Frame]:
        yield from self._frames(self.numbers[0], self.numbers[-1])

    def frame(self, number: int) -> Frame:
        if number not in self.numbers:
            raise MediaError(f"{self.source} has the frames {ranges(self.numbers)}; frame {number} is not among them.")
        # A caller that walks forwards in small steps goes on decoding rather than seeking anew.
        if self._forward is None or not 0 <= number - self._forward[0] <= 12:
            self._forward = (number, self._frames(number, len(self.index.times)))
        expected, frames = self._forward
        for frame in frames:
            if frame.number == number:
                self._forward = (number + 1, frames)
                return frame
        raise MediaError(f"{self.source}: frame {number} cannot be decoded.")

    def close(self) -> None:
        self._forward = None
        self._container.close()

    def _frames(self, first: int, last: int, seek: bool = True) -> Iterator[Frame]:
        container, stream = open_stream(self.source)
        with container:
            stream.thread_type = "AUTO"
            counted, sought = 0, seek and not self.index.by_count and first > 1
            if sought:
                keys = self.index.key_times
                key = keys[max(0, bisect_right(keys, self.index.times[first - 1]) - 1)] if keys else self.index.times[0]
                container.seek(key, stream=stream)
            expected = first
            for raw in decode_frames(self.source, container, stream):
                counted += 1
                number = counted if self.index.by_count else self.index.number(raw.pts)
                if number is None or number < expected:
                    continue
                if number > expected:
                    break
                yield self._convert(raw, number)
                expected += 1
                if expected > last:
                    return
        if sought and expected == first:
            # Some containers seek too far, or lose their way: from the beginning it is found.
            yield from self._frames(first, last, seek=False)
            return
        raise MediaError(
            f"{self.source}: frame {expected} of {len(self.index.times)} cannot be decoded; the file is damaged there. "
            f"Copy it again, or read up to it with last={expected - 1}."
        )

    def _convert(self, raw: VideoFrame, number: int) -> Frame:
        if raw.is_corrupt:
            raise MediaError(
                f"{self.source}: frame {number} is damaged. Copy the file again, or leave it out by a range."
            )
        if (raw.width, raw.height) != self.coded_size:
            raise MediaError(
                f"{self.source}: frame {number} is {raw.width} x {raw.height}, the first frame {self.coded_size[0]} x "
                f"{self.coded_size[1]}. A clip has one size; convert the movie first."
            )
        matter = MovieMatter(
            planes=read_planes(raw, self.format), format=self.format, tags=self.tags, orientation=self.orientation
        )
        pixels = np.ascontiguousarray(self.orientation.upright(to_pixels(matter.planes, self.format, self.tags)))
        pixels.flags.writeable = False
        return Frame(
            pixels=pixels,
            original=pixels,
            channels=self.channels,
            number=number,
            time=(self.index.times[number - 1] - self.index.times[0]) * self.index.time_base,
            colour=self.colour,
            path=self.source,
            header=MappingProxyType({"movie": matter}),
        )


def tags_of(raw: VideoFrame, stream: VideoStream) -> ColourTags:
    """Collect the colour tags of a stream; what the frame says counts where the stream is silent."""
    context = stream.codec_context

    def told(name: str, silent: int) -> int:
        value = int(getattr(context, name))
        return value if value != silent else int(getattr(raw, name))

    full = 2 if raw.format.name.startswith("yuvj") else told("color_range", 0)
    return ColourTags(
        primaries=told("color_primaries", 2),
        transfer=told("color_trc", 2),
        matrix=told("colorspace", 2),
        range=full,
        centred_chroma=context.name == "mjpeg",
    )


def read_planes(raw: VideoFrame, fmt: PlaneFormat) -> list[np.ndarray]:
    """Copy a decoded frame's planes as they are; packed and big-endian formats are only rearranged."""
    if raw.format.name.replace("yuvj", "yuv") != fmt.name:
        limits = {"src_color_range": raw.color_range or 1, "dst_color_range": raw.color_range or 1}
        raw = raw.reformat(format=fmt.name, **limits)
    planes = []
    for plane, (height, width) in zip(raw.planes, fmt.shapes(raw.height, raw.width), strict=True):
        line = np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(-1, plane.line_size)[:height]
        planes.append(line.view(fmt.dtype)[:, :width].copy())
    return planes


def _chosen(path: Path, count: int, first: int | None, last: int | None) -> range:
    low, high = max(1, first if first is not None else 1), last if last is not None else count
    if low > count or high > count:
        raise MediaError(
            f"{path} has {count} frames, numbered 1-{count}; the range {ranges([low])}-{high} goes beyond. "
            "Movies count from 1; choose a range within."
        )
    return range(low, high + 1)
