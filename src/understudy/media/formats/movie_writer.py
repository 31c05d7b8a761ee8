"""Movies, written: frames wait as lossless files until the clip is whole, then they are encoded beside the plate's own sound."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from understudy.errors import MediaError
from understudy.media.clip import Clip, ClipWriter
from understudy.media.colour import ColourSpace, to_view
from understudy.media.formats.codecs import Encoding, choose_encoding, encoded_tags
from understudy.media.formats.movie import MovieClip, MovieMatter
from understudy.media.formats.movie_encode import Timeline, check_sound, encode_movie, supported_codecs
from understudy.media.formats.movie_store import save_frame
from understudy.media.formats.orientation import Orientation
from understudy.media.formats.partial import PartialStore
from understudy.media.formats.planes import ColourTags, PlaneFormat, patch_planes, plane_format, to_planes
from understudy.media.frame import Frame, quantise
from understudy.media.pattern import ranges
from understudy.provenance.stamp import Stamp, stamp_file

_TURNING = {".mp4", ".mov", ".m4v"}
_EVENLY = {".avi", ".mxf", ".y4m", ".dv"}
_HD = ColourTags(primaries=1, transfer=1, matrix=1, range=1)


class MovieWriter(ClipWriter):
    """Writes a movie like another clip.

    Pixels that nobody altered keep the plate's own luma and chroma up to the encoder, so a lossless codec gives them back
    bit for bit. MP4 and MOV keep the plate's rotation flag and stored orientation; other containers get upright pictures.
    """

    def __init__(
        self,
        destination: Path,
        *,
        like: Clip,
        stamp: Stamp | None,
        codec: str | None,
        quality: int | None,
        job: str,
        complete: bool,
        size: tuple[int, int] | None = None,
        progress: Callable[[str, int, int | None], None] = lambda *_: None,
    ):
        self.destination = destination
        self._like, self._stamp, self._complete, self._progress = like, stamp, complete, progress
        movie = like if isinstance(like, MovieClip) else None
        suffix = destination.suffix.lower()
        self._size = size or like.size
        self._orientation = (
            movie.orientation if movie and suffix in _TURNING and self._size == like.size else Orientation()
        )
        tags = movie.tags if movie else _HD
        wished = movie.format if movie else _wish(like)
        supported = supported_codecs(destination)
        width, height = self._orientation.upright_size(self._size)  # turning back swaps the sides just as turning does
        resolved = tags.resolved(wished, width, height)
        self._encoding: Encoding = choose_encoding(
            suffix,
            size=(width, height),
            rate=like.rate,
            planes=wished,
            full_range=resolved[1],
            plate_codec=movie.codec if movie else None,
            plate_tag=movie.codec_tag if movie else None,
            codec=codec,
            quality=quality,
            supported=supported,
        )
        self._tags = encoded_tags(self._encoding, tags, resolved)
        if suffix in _EVENLY and movie and not movie.index.constant:
            raise MediaError(
                f"{destination}: {suffix} movies have one frame rate, that of {like.source} varies. Choose .mov, .mp4 or .mkv."
            )
        self._planes: PlaneFormat = self._encoding.plane_format
        if movie:
            check_sound(movie.source, destination, supported)
        # Files in the store are planes of one layout; another layout is another job.
        self._store = PartialStore(
            destination, like=like, job=job, settings=f"{self._planes.name} {self._size} {suffix}"
        )
        found = {int(path.stem) for path in self._store.folder.glob("*.mkv") if path.stem.isdigit()}
        self.done = found & set(like.numbers)

    def write(self, frame: Frame) -> None:
        if frame.number not in self._like.numbers:
            raise MediaError(
                f"{self.destination}: frame {frame.number} is not in {self._like.source}, which has {ranges(self._like.numbers)}."
            )
        if frame.size != self._size:
            raise MediaError(
                f"{self.destination}: frame {frame.number} is {frame.size[0]} x {frame.size[1]}, "
                f"the movie {self._size[0]} x {self._size[1]}."
            )
        with self._store.temporary(self._path(frame.number)) as temporary:
            save_frame(temporary, self._as_planes(frame), self._planes)
        self.done.add(frame.number)

    def close(self) -> None:
        lacking = sorted(set(self._like.numbers) - self.done)
        if lacking and (self._complete or not self.done):
            raise MediaError(
                f"{self.destination} is not finished: the frames {ranges(lacking)} are still to be written. "
                f"What is done waits in {self._store.folder}; run the same command again."
            )
        numbers = [number for number in self._like.numbers if number in self.done]
        with self._store.temporary(self.destination) as temporary:
            encode_movie(
                temporary,
                [self._path(number) for number in numbers],
                like=self._like,
                timeline=Timeline.of(self._like, numbers, self.destination.suffix.lower() in _EVENLY),
                encoding=self._encoding,
                tags=self._tags,
                orientation=self._orientation,
                stamp=self._stamp,
                progress=self._progress,
            )
            if self._stamp is not None:
                stamp_file(temporary, self._stamp)
        self._store.clear()

    def _path(self, number: int) -> Path:
        return self._store.folder / f"{number:08d}.mkv"

    def _as_planes(self, frame: Frame) -> list[np.ndarray]:
        matter = frame.header.get("movie")
        if (
            isinstance(matter, MovieMatter)
            and matter.format == self._planes
            and matter.orientation == self._orientation
        ):
            altered = frame.altered
            if (
                altered is not None
                and matter.tags == self._tags
                and frame.pixels.shape[2] == len(matter.format.channels)
            ):
                pixels, where = self._orientation.stored(frame.pixels), self._orientation.stored(altered)
                return patch_planes(matter.planes, pixels, where, self._planes, self._tags)
        pixels = self._orientation.stored(_displayed(frame, self._planes.dtype))
        return to_planes(np.ascontiguousarray(pixels), self._planes, self._tags)


def _displayed(frame: Frame, dtype: np.dtype) -> np.ndarray:
    """Return (H, W, 1, 3 or 4) display-encoded pixels in ``dtype``."""
    places = list(frame.colour_channels)
    lower = [name.lower() for name in frame.channels]
    alpha = lower.index("a") if "a" in lower and len(places) == 3 else None
    if frame.pixels.dtype == dtype and frame.colour is ColourSpace.DISPLAY:
        return frame.pixels[..., places + ([alpha] if alpha is not None else [])]
    if frame.pixels.dtype.kind == "f" or frame.colour is ColourSpace.LINEAR:
        colour = frame.view()[..., : len(places)]
    else:
        colour = to_view(frame.rgb(), frame.colour)[..., : len(places)]
    parts = [quantise(colour, dtype)]
    if alpha is not None:
        raw = frame.pixels[..., alpha : alpha + 1]
        scale = 1.0 if raw.dtype.kind == "f" else float(np.iinfo(raw.dtype).max)
        parts.append(quantise(np.nan_to_num(raw.astype(np.float32)) / scale, dtype))
    return np.concatenate(parts, axis=2)


def _wish(like: Clip) -> PlaneFormat:
    """Choose the layout for pictures that become a movie: 4:2:0 of 8 bits, or 4:2:2 of 10 bits for deeper ones."""
    found = plane_format("yuv420p" if like.dtype == np.uint8 else "yuv422p10le")
    assert found is not None
    return found
