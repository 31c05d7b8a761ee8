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
            str(like.source.absolute()),
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
                self.folder.mkdir(parents=True)
                self.put(marker, key.encode())
        for left in self.folder.glob("~*"):
            left.unlink(missing_ok=True)

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
