"""``understudy regions``: footage to the regions of its faces."""

from __future__ import annotations

from typing import Any

from understudy.cli.command import Command, Progress
from understudy.cli.show import count, duration, path, ranges


def _job() -> Any:
    from understudy.jobs.options_regions import RegionsOptions

    return RegionsOptions, _regions


def _regions(options: Any, progress: Progress) -> Any:
    from understudy.jobs.regions import find_regions

    return find_regions(options, progress)


def _show(report: Any) -> str:
    many = f", {count(report.files, 'file')} each" if report.files > 1 else ""
    lines = [f"[green]regions[/]  {count(report.num_frames, 'frame')}{many} as {report.form}  {path(report.output)}"]
    if report.made < report.num_frames:
        lines.append(f"  {report.num_frames - report.made} were there already")
    if report.empty:
        lines.append(f"  without the face, all background: {ranges(report.empty)}")
    told = [f"{name} {share:.1%}" for name, share in report.shares.items() if share >= 0.0005 and name != "background"]
    if report.made:
        lines.append(f"  {', '.join(told) or 'nothing but background'}")
    if report.mean_overlap is not None:
        told = ", ".join(f"{name} {value:.3f}" for name, value in report.overlap.items())
        lines.append(f"  overlap with the truth: mean {report.mean_overlap:.3f}; {told}")
    if report.people_sheet:
        lines.append(f"  everybody in it: {path(report.people_sheet)}")
    if report.sheet:
        lines.append(f"  look at {path(report.sheet)}")
    return "\n".join([*lines, f"  record  {path(report.record)}", f"[dim]{duration(report.seconds)}[/]"])


COMMAND = Command(
    sentence="Tell the twelve regions of a face apart: skin, eyes, lips, hair and so on, as numbers, mattes or EXR layers.",
    job=_job,
    show=_show,
    arguments=("source",),
    example="understudy regions portrait.jpg -o regions.png\n\n"
    "understudy regions plate.####.exr -o regions.####.exr --person 1",
)
