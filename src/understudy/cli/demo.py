"""``understudy demo``: everything on two packaged clips."""

from __future__ import annotations

from typing import Any

from understudy.cli.command import Command
from understudy.cli.show import duration, escape, path


def _job() -> Any:
    from understudy.jobs.demo import DemoOptions, demo

    return DemoOptions, demo


def _show(report: Any) -> str:
    from understudy.jobs.measure import MEASURES

    if not report.finished:
        return ""
    lines = [f"[green]done[/] in {duration(report.minutes * 60)}"]
    for movie, scores in report.scores.items():
        lines.append(f"[bold]{escape(movie)}[/]")
        for candidate in ("swap", "neighbour", "plate"):
            figures = (f"{MEASURES[name][0]} {value:.3f}" for name, value in scores.get(candidate, {}).items())
            lines.append(f"  {candidate:<10} {', '.join(figures)}")
    stages = ", ".join(f"{name} {duration(seconds)}" for name, seconds in report.stages.items())
    return "\n".join([*lines, f"[dim]{stages}[/]", f"Open {path(report.report)}"])


COMMAND = Command(
    sentence="Gather, train, swap both ways and measure on two packaged clips of rendered performers.",
    job=_job,
    show=_show,
    example="understudy demo --minutes 7",
)
