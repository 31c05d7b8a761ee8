"""Files that are either whole or absent."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from understudy.errors import storage_guard

# What the user's shell allows new files to be; some writers make theirs readable to the owner alone.
_MASK = os.umask(0)
os.umask(_MASK)


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` (same suffix); on success it is synced and takes ``path``'s place in one step.

    After an exception the temporary file is removed and ``path`` is as it was.

    Raises:
        StorageError: full disk or no permission.
    """
    path = Path(path)
    with storage_guard(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.tmp{path.suffix}")
    try:
        with storage_guard(path):
            yield temporary
            descriptor = os.open(temporary, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            temporary.chmod(0o666 & ~_MASK)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path | str, data: bytes) -> None:
    """Write ``data`` so that ``path`` is never half a file."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path | str, text: str) -> None:
    """Write ``text`` as UTF-8 so that ``path`` is never half a file."""
    write_bytes(path, text.encode())


def write_json(path: Path | str, value: Any) -> None:
    """Write ``value`` as indented JSON so that ``path`` is never half a file."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
