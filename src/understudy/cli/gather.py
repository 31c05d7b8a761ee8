"""``understudy gather``: footage to faces."""

from __future__ import annotations

from typing import Any

from understudy.cli.command import Command, Progress
from understudy.cli.show import count, duration, escape, path, reasons


def _job() -> Any:
    from understudy.jobs.options_gather import GatherOptions

    return GatherOptions, _gather


def _gather(options: Any, progress: Progress) -> Any:
    from understudy.jobs.gather import gather

    return gather(options, progress)


def _show(report: Any) -> str:
    lines = []
    for one in report.identities:
        earlier = f", {one.kept} from before" if one.kept else ""
        gone = f", {one.gone} left deleted" if one.gone else ""
        lines.append(
            f"[green]{escape(one.identity)}[/]  {count(one.written, 'new face')}{earlier}{gone}; {one.total} in the set"
        )
        shake = one.jitter
        if None not in (shake.landmarks_before, shake.landmarks_after, shake.crop_before, shake.crop_after):
            lines.append(
                f"  shake: landmarks {shake.landmarks_before:.2f} to {shake.landmarks_after:.2f} px, "
                f"crop {shake.crop_before:.2f} to {shake.crop_after:.2f} px"
            )
        if one.skipped:
            lines.append(f"  {count(len(one.skipped), 'frame')} left out:")
            lines += [f"  {line}" for line in reasons((frame.number, frame.reason) for frame in one.skipped)]
        lines.append(f"  look at {path(one.sheet)}")
    if report.people_sheet:
        lines.append(f"everybody in the clip: {path(report.people_sheet)}")
    seconds = report.seconds.get("all", sum(report.seconds.values()))
    return "\n".join([*lines, f"[dim]{count(report.num_frames, 'frame')} in {duration(seconds)}[/]"])


COMMAND = Command(
    sentence="Find one performer's faces in footage and add them to their face set.",
    job=_job,
    show=_show,
    arguments=("source",),
    flags={"identity": ("--as",)},
    example="understudy gather footage/clip.mp4 --as anna",
)
