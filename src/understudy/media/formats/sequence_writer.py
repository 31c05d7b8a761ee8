"""Picture sequences and stills, written: one file a frame, whole or absent."""

from __future__ import annotations

from pathlib import Path

from understudy.errors import MediaError
from understudy.media.clip import Clip, ClipWriter
from understudy.media.formats.partial import PartialStore
from understudy.media.formats.picture_writer import WRITABLE, encode_picture
from understudy.media.frame import Frame
from understudy.media.pattern import Pattern, listing, ranges
from understudy.provenance.stamp import Stamp


class SequenceWriter(ClipWriter):
    """Writes pictures like another clip.

    A frame of the same format that nobody altered is the plate's file, byte for byte; others carry the stamp.
    ``<destination>.partial`` notes what is done until the clip is closed.
    """

    def __init__(
        self, destination: Path, *, like: Clip, stamp: Stamp | None, quality: int | None, job: str, complete: bool
    ):
        self._pattern = Pattern.of(destination)
        self.destination = self._pattern.path if self._pattern else destination
        self._like, self._stamp, self._quality, self._complete = like, stamp, quality, complete
        if destination.suffix.lower() not in WRITABLE:
            raise MediaError(
                f"{destination}: {destination.suffix} pictures can only be read; write one of {listing(WRITABLE)}."
            )
        self._store = PartialStore(
            self.destination, like=like, job=job, settings=f"{destination.suffix.lower()} {quality}"
        )
        self.done = {number for number in self._store.logged() & set(like.numbers) if self.file(number).is_file()}

    def file(self, number: int) -> Path:
        """Return the file of a frame."""
        return self._pattern.file(number) if self._pattern else self.destination

    def write(self, frame: Frame) -> None:
        if frame.number not in self._like.numbers:
            raise MediaError(
                f"{self.destination}: frame {frame.number} is not in {self._like.source}, which has {ranges(self._like.numbers)}."
            )
        target = self.file(frame.number)
        altered = frame.altered
        untouched = altered is not None and not altered.any()
        if frame.path is not None and target.absolute() == frame.path.absolute():
            raise MediaError(f"{target} is the plate itself: choose another destination, so that the plate survives.")
        same_format = "picture" in frame.header and frame.path and frame.path.suffix.lower() == target.suffix.lower()
        if untouched and same_format and frame.path is not None:
            data = frame.path.read_bytes()
        else:
            stamp = None if untouched else self._stamp
            data = encode_picture(frame, target.suffix, stamp=stamp, quality=self._quality)
        self._store.put(target, data)
        self._store.log(frame.number)
        self.done.add(frame.number)

    def close(self) -> None:
        lacking = sorted(set(self._like.numbers) - self.done)
        if lacking and self._complete:
            raise MediaError(
                f"{self.destination} is not finished: the frames {ranges(lacking)} are still to be written. "
                "Run the same command again, it goes on where it stopped."
            )
        self._store.clear()
