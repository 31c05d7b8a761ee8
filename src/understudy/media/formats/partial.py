"""What a clip in the making keeps on disk, so that the same job can be stopped at any moment and go on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from understudy.errors import storage_guard
from understudy.media.clip import Clip


class PartialStore:
    """The folder ``<destination>.partial``: one job's whole frames, or the list of those that are at the destination.

    Attributes:
        folder: the folder itself; it is removed by :meth:`clear`.
    """

    def __init__(self, destination: Path, *, like: Clip, job: str, settings: str):
        self.folder = destination.with_name(destination.name + ".partial")
        self._log = self.folder / "done.txt"
        described = [
            *_plate(like),
            like.size,
            len(like),
            like.numbers[0],
            like.numbers[-1],
            job,
            settings,
        ]
        key = hashlib.sha256(json.dumps(described).encode()).hexdigest()
        marker = self.folder / "job.txt"
        with storage_guard(destination):
            if self.folder.is_dir() and (not marker.is_file() or marker.read_text() != key):
                shutil.rmtree(self.folder)
            if not self.folder.is_dir():
                self._begin(key)
        for left in self.folder.glob("~*"):
            owner = left.name[1:].partition(".")[0]
            if not (owner.isdigit() and _runs(int(owner))):
                left.unlink(missing_ok=True)

    def _begin(self, key: str) -> None:
        """Make the folder appear with its marker in it, so that another writer never sees it without."""
        fresh = self.folder.with_name(f"{self.folder.name}~{os.getpid()}")
        fresh.mkdir(parents=True, exist_ok=True)
        (fresh / "job.txt").write_text(key)
        try:
            fresh.rename(self.folder)
        except OSError:
            shutil.rmtree(fresh)
            if not self.folder.is_dir():  # not another writer that was quicker
                raise

    @contextmanager
    def temporary(self, target: Path) -> Iterator[Path]:
        """Yield a path in the store with ``target``'s suffix; on success it is synced and takes ``target``'s place.

        Raises:
            StorageError: full disk or no permission; ``target`` is as it was.
        """
        temporary = self.folder / f"~{os.getpid()}.{target.name}"
        try:
            with storage_guard(target):
                yield temporary
                descriptor = os.open(temporary, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                target.parent.mkdir(parents=True, exist_ok=True)
                temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def put(self, target: Path, data: bytes) -> None:
        """Write ``data`` to ``target``, whole or not at all."""
        with self.temporary(target) as temporary:
            temporary.write_bytes(data)

    def log(self, number: int) -> None:
        """Note that a frame is whole at the destination."""
        with storage_guard(self.folder), self._log.open("ab") as file:
            file.write(f"{number}\n".encode())

    def logged(self) -> set[int]:
        """Return the numbers noted; a torn last line does not count."""
        if not self._log.is_file():
            return set()
        lines = self._log.read_bytes().split(b"\n")[:-1]
        return {int(line) for line in lines if line.lstrip(b"-").isdigit()}

    def clear(self) -> None:
        """Remove the store."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _plate(like: Clip) -> list[str | int]:
    """Tell a plate from another, and from itself rendered anew."""
    state = like.frame_file(like.numbers[0]).stat()
    return [str(like.source.absolute()), state.st_size, state.st_mtime_ns]


def _runs(process: int) -> bool:
    """Whether a process of this number runs on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
