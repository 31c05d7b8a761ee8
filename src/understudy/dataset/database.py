"""SQLite files that survive a kill at any moment, with errors in sentences."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from understudy.errors import DatasetError, StorageError, storage_guard

_PATIENCE = 30.0  # seconds to wait for another process's write


class Database:
    """One SQLite file in write-ahead mode; may be used from several threads, one at a time.

    Args:
        path: the file; it and its folder are made where missing.
        schema: ``CREATE TABLE IF NOT EXISTS`` statements.
        version: written into a new file; a file of another version is refused.
        mend: what to do about a damaged file or one of another version, the second half of a sentence.

    Raises:
        DatasetError: damaged, no database at all, or of another version.
        StorageError: full disk or no permission.
    """

    def __init__(self, path: Path | str, schema: str, *, version: int, mend: str) -> None:
        self.path, self._mend = Path(path), mend
        self._lock = threading.RLock()
        try:
            with storage_guard(self.path):
                self.path.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise StorageError(
                f"{self.path.parent} is no folder, or lies below a file; choose another place."
            ) from error
        with self._guard():
            self._connection = sqlite3.connect(
                self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare(schema, version)
            except BaseException:
                self._connection.close()
                raise

    def _prepare(self, schema: str, version: int) -> None:
        found = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if found not in (0, version):
            raise DatasetError(f"{self.path} was written by another version of Understudy ({found}); {self._mend}.")
        self._connection.execute("PRAGMA journal_mode = WAL")
        # In write-ahead mode NORMAL keeps the file sound whenever the process dies; a power cut may lose the last rows,
        # and every row here can be made again.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        if found == 0:
            self._connection.executescript(f"BEGIN IMMEDIATE; {schema}; PRAGMA user_version = {version}; COMMIT;")

    def execute(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Run one statement; returns the number of rows changed."""
        with self._lock, self._guard():
            return self._connection.execute(statement, values).rowcount

    def execute_many(self, statement: str, values: Iterable[Sequence[Any]]) -> None:
        """Run one statement for many rows: all of them or none."""
        with self.transaction(), self._guard():
            self._connection.executemany(statement, values)

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple]:
        """All rows that a query answers."""
        with self._lock, self._guard():
            return self._connection.execute(query, values).fetchall()

    def each(self, query: str, values: Sequence[Any] = ()) -> Iterator[tuple]:
        """The rows that a query answers, one at a time."""
        with self._lock, self._guard():
            yield from self._connection.execute(query, values)

    def row(self, query: str, values: Sequence[Any] = ()) -> tuple | None:
        """The first row that a query answers, or None."""
        with self._lock, self._guard():
            return self._connection.execute(query, values).fetchone()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements inside take effect together, or none does."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            with self._guard():
                self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                with self._guard():
                    self._connection.rollback()
                raise
            with self._guard():
                self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file; the write-ahead log is folded in by the last one to leave."""
        self._connection.close()

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            text = str(error)
            if "full" in text or "disk I/O" in text:
                raise StorageError(
                    f"{self.path} could not be written ({text}): free some space and run the same command again, "
                    "it goes on where it stopped."
                ) from error
            if "readonly" in text or "unable to open" in text:
                raise StorageError(
                    f"{self.path} could not be written ({text}): choose another folder or change its permissions."
                ) from error
            if "locked" in text:
                raise StorageError(
                    f"{self.path} is in use by another process; wait for it, then run the same command again."
                ) from error
            raise
        except sqlite3.DatabaseError as error:
            if "malformed" in str(error) or "not a database" in str(error):
                raise DatasetError(f"{self.path} is damaged ({error}); {self._mend}.") from error
            raise
