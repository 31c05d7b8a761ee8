"""``understudy curves``: footage to action-unit curves."""

from __future__ import annotations

from typing import Any

from understudy.cli.command import Command, Progress
from understudy.cli.show import count, duration, escape, path, reasons


def _job() -> Any:
    from understudy.jobs.options_curves import CurvesOptions

    return CurvesOptions, _curves


def _curves(options: Any, progress: Progress) -> Any:
    from understudy.jobs.curves import measure_curves

    return measure_curves(options, progress)


def _show(report: Any) -> str:
    lines = [f"[green]curves[/]  {count(report.num_frames, 'frame')} at {report.rate}/s  {path(report.output)}"]
    lines.append(f"  at rest: {escape(report.neutral)}")
    if report.filled:
        lines.append(f"  {count(len(report.filled), 'frame')} filled from the frames around:")
        lines += [f"  {line}" for line in reasons((frame.number, frame.reason) for frame in report.filled)]
    highest = sorted(report.peaks.items(), key=lambda peak: -peak[1][0])[:5]
    told = [f"{unit} {value:.1f} in {number}" for unit, (value, number) in highest if value > 0.05]
    lines.append(f"  highest: {', '.join(told) or 'nothing moves'}")
    if report.people_sheet:
        lines.append(f"  everybody in the clip: {path(report.people_sheet)}")
    if report.plot:
        lines.append(f"  look at {path(report.plot)}")
    return "\n".join([*lines, f"  record  {path(report.record)}", f"[dim]{duration(report.seconds)}[/]"])


COMMAND = Command(
    sentence="Measure what a performer's face does, frame by frame, as 17 action units; or convert a file of curves.",
    job=_job,
    show=_show,
    arguments=("source",),
    example="understudy curves clip.mp4 -o take.csv",
)
