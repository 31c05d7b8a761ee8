"""``understudy swap``: plate and model to a finished shot."""

from __future__ import annotations

from typing import Any

from understudy.cli.command import Command, Progress
from understudy.cli.show import count, duration, path, reasons


def _job() -> Any:
    from understudy.jobs.options_swap import SwapOptions

    return SwapOptions, _swap


def _swap(options: Any, progress: Progress) -> Any:
    from understudy.jobs.shot import swap_shot

    return swap_shot(options, progress)


def _show(report: Any) -> str:
    lines = [f"[green]swapped[/]  {report.swapped} of {count(report.num_frames, 'frame')}  {path(report.output)}"]
    if report.passed_through:
        lines.append(f"  {count(len(report.passed_through), 'frame')} left as in the plate:")
        lines += [f"  {line}" for line in reasons((frame.number, frame.reason) for frame in report.passed_through)]
    if report.people_sheet:
        lines.append(f"  everybody in the plate: {path(report.people_sheet)}")
    if report.sheet:
        lines.append(f"  look at {path(report.sheet)}")
    stages = ", ".join(f"{name} {duration(seconds)}" for name, seconds in report.seconds.items())
    return "\n".join([*lines, f"  record  {path(report.record)}", f"[dim]{stages}[/]"])


COMMAND = Command(
    sentence="Put an identity's face on the performer of a plate, composited, in the plate's own format.",
    job=_job,
    show=_show,
    arguments=("plate",),
    example="understudy swap footage/plate.####.exr --identity anna --output renders/shot.####.exr",
)
