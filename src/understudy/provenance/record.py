"""The run record: what made an output, from what, with whose consent; it lies beside it as ``<output>.record.json``."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import understudy
from understudy.errors import MediaError
from understudy.provenance.atomic import write_json
from understudy.provenance.cast import Consent
from understudy.provenance.stamp import COMPOSITE_WITH_MODEL

DIGITAL_SOURCE_TYPE = COMPOSITE_WITH_MODEL
"""What a swapped or edited plate is, in IPTC's words."""


@dataclass(kw_only=True)
class RunRecord:
    """One run of one command.

    ``inputs`` and ``weights`` map a path to the sha256 of its content. ``digital_source_type`` is the IPTC term that
    the outputs carry, None where a run makes no picture for an audience (gathering, training).
    """

    command: str
    options: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)
    consent: dict[str, dict[str, Any]] = field(default_factory=dict)
    digital_source_type: str | None = None
    version: str = understudy.__version__
    machine: dict[str, Any] = field(default_factory=lambda: machine())
    started: str = field(default_factory=lambda: _now())
    finished: str | None = None
    figures: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def begin(cls, command: str, options: Any = None, *, digital_source_type: str | None = None) -> RunRecord:
        """Start the record of ``command``; ``options`` is its options dataclass or a mapping."""
        return cls(command=command, options=plain(options or {}), digital_source_type=digital_source_type)

    def add_input(self, path: Path | str, files: Iterable[Path | str] | None = None) -> str:
        """Note an input by the sha256 of its content; of a picture sequence, give its ``files``. Returns the sha256."""
        self.inputs[str(path)] = digest = files_sha256(files) if files is not None else path_sha256(path)
        return digest

    def add_weights(self, path: Path | str, sha256: str | None = None) -> str:
        """Note a file of weights by its sha256 (computed where not given). Returns the sha256."""
        self.weights[str(path)] = digest = sha256 or path_sha256(path)
        return digest

    def add_consent(self, identity: str, consent: Consent) -> None:
        """Note on whose consent this run rests."""
        self.consent[identity] = consent.as_record()

    def digest(self) -> str:
        """sha256 of what decides the result: command, options, inputs, weights, consent, version; not time or machine.

        It is the same when an interrupted run goes on, so outputs can carry it from their first frame.
        """
        names = ("command", "options", "inputs", "weights", "consent", "version", "digital_source_type")
        decisive = {name: getattr(self, name) for name in names}
        return hashlib.sha256(json.dumps(decisive, sort_keys=True, default=str).encode()).hexdigest()

    def write(self, output: Path | str) -> Path:
        """Finish the record, write it beside ``output`` (``shot.mov`` -> ``shot.mov.record.json``), return its path.

        Raises:
            StorageError: full disk or no permission.
        """
        self.finished = self.finished or _now()
        path = record_path(output)
        write_json(path, {"digest": self.digest(), **dataclasses.asdict(self)})
        return path


def record_path(output: Path | str) -> Path:
    """Where the record of ``output`` lies."""
    output = Path(output)
    return output.with_name(output.name + ".record.json")


def path_sha256(path: Path | str) -> str:
    """sha256 (hex) of a file's content, or of all plain files under a folder (names, contents; hidden ones left out).

    Raises:
        MediaError: nothing there, or unreadable.
    """
    path = Path(path)
    if path.is_dir():
        files = (file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
        return files_sha256(sorted(files))
    try:
        state = path.stat()
        return _content_sha256(str(path.resolve()), state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise MediaError(f"{path} cannot be read: {error.strerror or error}.") from error


def files_sha256(files: Iterable[Path | str]) -> str:
    """sha256 (hex) over the names and contents of ``files``, in their order."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{Path(file).name}\0{path_sha256(file)}\n".encode())
    return digest.hexdigest()


@lru_cache(maxsize=65536)
def _content_sha256(path: str, size: int, changed: int) -> str:
    # Size and time of change are part of the key only: a clip is asked for by several stages of one job.
    del size, changed
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def machine() -> dict[str, Any]:
    """The kind of machine, without its name or its user."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": platform.machine(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
    }


def plain(value: Any) -> Any:
    """``value`` as JSON can hold it: dataclasses as dicts, paths and fractions as texts, arrays as lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(plain(item) for item in value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    to_list = getattr(value, "tolist", None)  # NumPy arrays and numbers, without importing NumPy
    if to_list is not None:
        return to_list()
    if isinstance(value, Path | Fraction):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
