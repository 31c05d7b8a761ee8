"""``understudy review``: look through a face set."""

from __future__ import annotations

from typing import Any

from understudy.cli.command import Command, Progress
from understudy.cli.show import count, escape, path

_SHOWN = 12
_FIGURES = ("blur", "yaw", "pitch", "roll", "size", "duplicates", "likeness")


def _job() -> Any:
    from understudy.jobs.options_review import ReviewOptions

    return ReviewOptions, _review


def _review(options: Any, progress: Progress) -> Any:
    from understudy.jobs.review import review

    return review(options, progress)


def _show(report: Any) -> str:
    figures = [name for name in _FIGURES if name != "likeness" or report.likeness_by]
    width = max([len(picture.name) for picture in report.pictures[:_SHOWN]] + [8])
    lines = [f"[bold]{'':<{width}}  {'  '.join(f'{name:>10}' for name in figures)}[/]"] if report.pictures else []
    for picture in report.pictures[:_SHOWN]:
        cells = (f"{getattr(picture, name):>10.4g}" for name in figures)
        lines.append(f"{escape(picture.name):<{width}}  {'  '.join(cells)}")
    if len(report.pictures) > _SHOWN:
        lines.append(f"[dim]and {len(report.pictures) - _SHOWN} more; all of them are on the sheet and in --json[/]")
    if report.likeness_by:
        lines.append(f"[dim]likeness by {escape(report.likeness_by)}[/]")
    if report.act != "show":
        done = {"drop": "dropped", "restore": "restored"}[report.act]
        lines.append(f"[green]{done}[/]  {count(len(report.acted), 'picture')}")
    lines.append(f"{count(report.in_set, 'picture')} in the set, {report.out_of_set} dropped")
    return "\n".join([*lines, f"look at {path(report.sheet)}"])


COMMAND = Command(
    sentence="Sort and filter an identity's faces on a contact sheet; drop pictures, or restore them.",
    job=_job,
    show=_show,
    arguments=("identity", "names"),
    example="understudy review anna --sort blur --worst 10 --act drop",
)
