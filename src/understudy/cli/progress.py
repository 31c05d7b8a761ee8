"""Progress on standard error: bars in a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from typing import TextIO

_SECONDS_BETWEEN_LINES = 10.0


class Log:
    """For logs: a line when a stage begins, when it ends, and every ten seconds between."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.stage, self.count = stream, "", (0, None)
        self.began = self.last = time.monotonic()

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *reason: object) -> None:
        self._end_stage()

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if stage != self.stage:
            self._end_stage()
            self.stage, self.began, self.last = stage, now, now
            self.stream.write(f"{stage} ...\n")
            self.stream.flush()
        elif now - self.last >= _SECONDS_BETWEEN_LINES:
            self.last = now
            self.stream.write(f"{stage} {_count(done, total)}\n")
            self.stream.flush()
        self.count = (done, total)

    def _end_stage(self) -> None:
        if self.stage:
            self.stream.write(f"{self.stage} {_count(*self.count)} ({time.monotonic() - self.began:.1f} s)\n")
            self.stream.flush()
        self.stage = ""


class Bars:
    """For terminals: one rich bar a stage, the finished ones stay."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as Remaining

        self.bars = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            Remaining(elapsed_when_finished=False),
            console=Console(stderr=True),
        )
        self.tasks: dict[str, int] = {}
        self.running: str | None = None

    def __enter__(self) -> Bars:
        self.bars.__enter__()
        return self

    def __exit__(self, *reason: object) -> None:
        if reason and reason[0] is None:
            self._finish()
        self.bars.__exit__(*reason)  # pyright: ignore[reportArgumentType]

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        from rich.progress import TaskID

        if stage != self.running:
            self._finish()
            self.running = stage
        if stage not in self.tasks:
            self.tasks[stage] = self.bars.add_task(stage, total=total)
        self.bars.update(TaskID(self.tasks[stage]), completed=done, total=total)

    def _finish(self) -> None:
        """A stage that gave no total, or less than it, is over when the next one begins."""
        from rich.progress import TaskID

        if self.running is not None:
            task = self.bars.tasks[self.tasks[self.running]]
            done = int(task.completed) or 1
            self.bars.update(TaskID(task.id), completed=done, total=done)


def show_progress() -> Log | Bars:
    """What suits standard error."""
    return Bars() if sys.stderr.isatty() else Log(sys.stderr)


def _count(done: int, total: int | None) -> str:
    return f"{done}/{total}" if total is not None else f"{done}"
