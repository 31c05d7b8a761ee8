"""``understudy doctor``: what this machine offers, and what to do about the rest."""

from __future__ import annotations

from typing import Any

from understudy.cli.command import Command
from understudy.cli.show import escape

_MARKS = {"ok": "[green]ok     [/]", "limited": "[yellow]limited[/]", "missing": "[red]missing[/]"}


def _job() -> Any:
    from understudy.jobs.doctor import DoctorOptions, doctor

    return DoctorOptions, doctor


def _show(report: Any) -> str:
    width = max(len(check.name) for check in report.checks)
    lines = []
    for check in report.checks:
        lines.append(f"{_MARKS[check.state]}  {check.name:<{width}}  {escape(check.found)}")
        if check.advice:
            lines.append(f"{'':9}{'':<{width}}  [dim]{escape(check.advice)}[/]")
    verdict = "Everything needed is here." if report.healthy else "Something that Understudy needs is missing."
    return "\n".join([*lines, "", f"[bold]{verdict}[/]"])


COMMAND = Command(
    sentence="See what is installed and what is missing, each with what to do.",
    job=_job,
    show=_show,
    exit_code=lambda report: 0 if report.healthy else 1,
)
