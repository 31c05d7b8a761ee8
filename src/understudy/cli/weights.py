"""``understudy weights``: foreign models, listed and pulled."""

from __future__ import annotations

from typing import Any

from understudy.cli.command import Command, Group


def _list_job() -> Any:
    from understudy.jobs.weights import ListOptions, list_weights

    return ListOptions, list_weights


def _show_list(report: Any) -> str:
    lines = []
    for row in report.weights:
        state = (
            f"[green]at hand[/]  {row.path}"
            if row.intact
            else f"[red]damaged[/]  {row.path}"
            if row.path
            else "[dim]not here[/]"
        )
        lines += [
            f"[bold]{row.name}[/]  {state}",
            f"    {row.purpose}",
            f"    {row.licence}{'' if row.commercial else '  [yellow]not for commercial work[/]'}",
        ]
    return "\n".join([*lines, "", f"[dim]Looked in {', then '.join(map(str, report.folders))}[/]"])


def _pull_job() -> Any:
    from understudy.jobs.weights import PullOptions, pull_weights

    return PullOptions, pull_weights


COMMAND = Group(
    sentence="Foreign models: where they come from, their licence, and whether they are here.",
    commands={
        "list": Command(
            sentence="List every foreign model with its licence and place; fetches nothing.",
            job=_list_job,
            show=_show_list,
        ),
        "pull": Command(
            sentence="Fetch models into the cache, their checksums verified.",
            job=_pull_job,
            show=lambda report: "\n".join(f"[green]at hand[/]  {path}" for path in report.paths),
            arguments=("names",),
            example="understudy weights pull faces",
        ),
    },
)
