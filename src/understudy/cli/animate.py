"""``understudy animate``: a still and a performance to a moving picture."""

from __future__ import annotations

from typing import Any

from understudy.cli.command import Command, Progress
from understudy.cli.show import count, duration, escape, path, reasons


def _job() -> Any:
    from understudy.jobs.options_animate import AnimateOptions

    return AnimateOptions, _animate


def _animate(options: Any, progress: Progress) -> Any:
    from understudy.jobs.animate import animate_still

    return animate_still(options, progress)


def show_animation(report: Any) -> str:
    """The report on an animated still, for a person."""
    lines = [f"[green]animated[/]  {count(report.num_frames, 'frame')} at {report.rate}/s  {path(report.output)}"]
    if report.filled:
        lines.append(f"  {count(len(report.filled), 'driving frame')} filled from the frames around:")
        lines += [f"  {line}" for line in reasons((frame.number, frame.reason) for frame in report.filled)]
    lines += [f"  {escape(note)}" for note in report.notes]
    if report.people_sheet:
        lines.append(f"  everybody in the still: {path(report.people_sheet)}")
    if report.performer_sheet:
        lines.append(f"  everybody who could drive it: {path(report.performer_sheet)}")
    lines.append(f"  look at {path(report.sheet)}")
    stages = ", ".join(f"{name} {duration(seconds)}" for name, seconds in report.seconds.items())
    return "\n".join([*lines, f"  record  {path(report.record)}", f"[dim]{stages}[/]"])


COMMAND = Command(
    sentence="Bring a still to life: an expression, a performer, curves, or another head pose, at the still's own resolution.",
    job=_job,
    show=show_animation,
    arguments=("still",),
    flags={"run": ("--run", "--checkpoint")},
    example="understudy animate portrait.jpg --expression smile -o smile.mp4",
)
