"""``understudy weights``: foreign models, listed and pulled."""

from __future__ import annotations

from typing import Any

from understudy.cli.command import Command, Group
from understudy.cli.show import escape


def _list_job() -> Any:
    from understudy.jobs.weights import ListOptions, list_weights

    return ListOptions, list_weights


def _show_list(report: Any) -> str:
    lines = []
    for row in report.weights:
        state = "[dim]not here[/]"
        if row.path:
            state = f"{'[green]at hand[/]' if row.intact else '[red]damaged[/]'}  {escape(row.path)}"
        lines += [
            f"[bold]{escape(row.name)}[/]  {state}",
            f"    {escape(row.purpose)}",
            f"    {escape(row.licence)}{'' if row.commercial else '  [yellow]not for commercial work[/]'}",
        ]
    return "\n".join([*lines, "", f"[dim]Looked in {escape(', then '.join(map(str, report.folders)))}[/]"])


def _pull_job() -> Any:
    from understudy.jobs.weights import PullOptions, pull_weights

    return PullOptions, pull_weights


def _import_job() -> Any:
    from understudy.jobs.import_weights import ImportWeightsOptions, import_weights

    return ImportWeightsOptions, import_weights


def _show_import(report: Any) -> str:
    return "\n".join(
        [
            f"[green]imported[/]  {escape(report.data)}",
            f"  model    {escape(report.checkpoint)}",
            f"  licence  {escape(report.licence)}",
        ]
    )


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
            show=lambda report: "\n".join(f"[green]at hand[/]  {escape(path)}" for path in report.paths),
            arguments=("names",),
            example="understudy weights pull faces",
        ),
        "import": Command(
            sentence="Make a checkpoint of weights that a system's authors published; nothing in their file is run.",
            job=_import_job,
            show=_show_import,
            arguments=("file",),
            example="understudy weights import ffhq.pkl --family regional_inversion -o stylegan2.safetensors",
        ),
    },
)
