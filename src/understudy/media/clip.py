"""Clips: movies, picture sequences and stills, read frame by frame and written back to the same kind.

    with open_clip("plate.####.exr 1001-1100") as clip, create_clip("out.####.exr", like=clip) as writer:
        for frame in clip:
            if frame.number not in writer.done:
                writer.write(frame.with_view(new, where))

Stopped at any moment, the same lines go on where they were: a frame at the destination is either whole or absent.
Memory does not grow with the clip's length.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np

from understudy.errors import MediaError
from understudy.media.colour import ColourSpace
from understudy.media.frame import Frame
from understudy.media.pattern import MOVIE_SUFFIXES, PICTURE_SUFFIXES, Pattern, find_source, listing
from understudy.provenance.stamp import Stamp

Kind = Literal["movie", "sequence", "still"]


class Clip(ABC):
    """Footage that can be read. A context manager; iterating gives its frames in order, one at a time.

    Attributes:
        kind: "movie", "sequence" or "still".
        source: the movie or picture file; for a sequence the pattern, such as ``plate.####.exr``.
        size: (width, height) in pixels, upright (rotation flags are applied).
        rate: frames a second; the mean one where the rate varies; 24 for pictures that do not say.
        numbers: the frame numbers that can be read, in order; movies count from 1.
        missing: the numbers that a sequence lacks between its first and its last.
        dtype: numpy type of the frames' pixels.
        channels: the first frame's channel names.
        colour: what the numbers mean.
    """

    kind: Kind
    source: Path
    size: tuple[int, int]
    rate: Fraction
    numbers: Sequence[int]
    missing: tuple[int, ...] = ()
    dtype: np.dtype
    channels: tuple[str, ...]
    colour: ColourSpace

    def __len__(self) -> int:
        return len(self.numbers)

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames in order; several iterations may run beside each other."""

    @abstractmethod
    def frame(self, number: int) -> Frame:
        """Return the frame with this number.

        Raises:
            MediaError: the clip has no such frame, or it cannot be decoded.
        """

    def frame_file(self, number: int) -> Path:
        """Return the file that holds frame ``number``: the movie, or the picture."""
        return self.source

    def close(self) -> None:  # noqa: B027 - most clips hold nothing
        """Let go of the files."""

    def __enter__(self) -> Clip:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        width, height = self.size
        return f"<{self.kind} {self.source} {width}x{height} {len(self)} frames at {self.rate}>"


class ClipWriter(ABC):
    """A clip being written. A context manager: leaving it in good order closes it, leaving by an exception keeps what is done.

    Attributes:
        destination: the movie or picture; for a sequence the pattern.
        done: numbers of the frames that are whole already, from this run or an earlier one of the same job.
    """

    destination: Path
    done: set[int]

    @abstractmethod
    def write(self, frame: Frame) -> None:
        """Write one frame, in any order; it is whole on disk when this returns.

        Raises:
            MediaError: the frame does not fit the clip.
            StorageError: full disk or no permission; finished frames are kept.
        """

    @abstractmethod
    def close(self) -> None:
        """Finish the clip: movies are encoded now, and take their place in one step.

        Raises:
            MediaError: frames are missing; what is done is kept for the next run.
        """

    def abandon(self) -> None:  # noqa: B027 - what is done is on the disk already
        """Stop without finishing; what is done is kept for the next run."""

    def __enter__(self) -> ClipWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()


def open_clip(
    source: str | Path,
    *,
    first: int | None = None,
    last: int | None = None,
    colour: ColourSpace | None = None,
    rate: Fraction | None = None,
    missing: Literal["error", "skip"] = "error",
) -> Clip:
    """Open footage for reading.

    Args:
        source: a movie; a picture; a sequence as ``plate.####.exr``, ``plate.%04d.exr``, with a range
            (``"plate.####.exr 1001-1100"``), or a folder that holds one.
        first: lowest frame number to read; None for the clip's own.
        last: highest frame number to read, included; None for the clip's own.
        colour: what the numbers mean; None takes linear for EXR, HDR and float TIFF, display for all else.
        rate: frames a second for pictures; None takes what their header says, else 24.
        missing: what to do about gaps in a sequence: "error" or "skip" (the gaps are then in ``Clip.missing``).

    Raises:
        MediaError: nothing there, unreadable, truncated, mixed sizes, gaps, or too small a picture.
    """
    found = find_source(source)
    first = found.first if first is None else first
    last = found.last if last is None else last
    if first is not None and last is not None and first > last:
        raise MediaError(f"The range {first}-{last} of {source} is empty: give the lower frame number first.")
    if found.pattern is None and found.path.suffix.lower() not in PICTURE_SUFFIXES:
        from understudy.media.formats.movie import MovieClip

        return MovieClip(found.path, first=first, last=last, colour=colour)
    from understudy.media.formats.sequence import PictureClip

    return PictureClip(found, first=first, last=last, colour=colour, rate=rate, missing=missing)


def create_clip(
    destination: str | Path,
    *,
    like: Clip,
    stamp: Stamp | None = None,
    codec: str | None = None,
    quality: int | None = None,
    job: str = "",
    complete: bool = True,
    size: tuple[int, int] | None = None,
    progress: Callable[[str, int, int | None], None] = lambda *_: None,
) -> ClipWriter:
    """Start, or go on with, a clip at ``destination``.

    Args:
        destination: a movie (``out.mov``), a pattern (``out.####.exr``), a picture for a single frame, or a folder, which
            then gets the plate's own file names.
        like: the clip whose numbers, size, rate, time stamps, sound, tags and file format are kept.
        stamp: the mark that altered frames and movies carry; unaltered frames of a sequence are copied byte for byte.
        codec: FFmpeg's name of a video encoder; None takes the plate's own family where the container holds it.
        quality: the encoder's own scale (CRF or quantiser for movies: lower is better; 1-100 for JPEG: higher is better);
            None is visually lossless.
        job: what tells this job from others (a hash of its options); frames left by a different job are made anew.
        complete: whether closing demands every frame of ``like``.
        size: (width, height) of a movie whose frames are not of ``like``'s size.
        progress: called with ("encode", done, total) while a movie is encoded on closing.

    Raises:
        MediaError: the destination fits neither the clip nor any format, is the plate itself, or cannot hold its sound.
        StorageError: full disk or no permission.
    """
    target = _resolve_destination(destination, like)
    if target.suffix.lower() in MOVIE_SUFFIXES:
        from understudy.media.formats.movie_writer import MovieWriter

        return MovieWriter(
            target,
            like=like,
            stamp=stamp,
            codec=codec,
            quality=quality,
            job=job,
            complete=complete,
            size=size,
            progress=progress,
        )
    from understudy.media.formats.sequence_writer import SequenceWriter

    if codec is not None:
        raise MediaError(f"codec={codec} cannot be used for {target}: codecs are for movies.")
    return SequenceWriter(target, like=like, stamp=stamp, quality=quality, job=job, complete=complete)


def _resolve_destination(destination: str | Path, like: Clip) -> Path:
    target = Path(destination)
    if target.is_dir() or not target.suffix:
        target = target / like.source.name
    suffix = target.suffix.lower()
    movies = MOVIE_SUFFIXES - {".gif"}  # 256 colours would not do
    if suffix not in movies | PICTURE_SUFFIXES:
        raise MediaError(
            f"{target} ends in {suffix}, which is no format for writing; "
            f"movies end in {listing(movies)}, pictures in {listing(PICTURE_SUFFIXES)}."
        )
    if suffix in PICTURE_SUFFIXES and Pattern.of(target) is None and len(like) > 1:
        raise MediaError(
            f"{target} is one picture, but {like.source} has {len(like)} frames: "
            f"name a pattern such as {target.stem}.####{target.suffix}."
        )
    pattern = Pattern.of(target)
    if (pattern.path if pattern else target).absolute() == like.source.absolute():
        raise MediaError(f"{target} is the plate itself: choose another destination, so that the plate survives.")
    return target
