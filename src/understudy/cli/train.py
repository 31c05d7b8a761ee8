"""``understudy train``: faces to a model."""

from __future__ import annotations

from typing import Any

from understudy.cli.command import Command, Progress
from understudy.cli.show import duration, escape, path


def _job() -> Any:
    from understudy.jobs.train import TrainOptions

    return TrainOptions, _train


def _train(options: Any, progress: Progress) -> Any:
    from understudy.jobs.train import train

    return train(options, progress)


def _show(report: Any) -> str:
    if report.finished:
        state = "[green]trained[/]"
    else:
        state = f"[yellow]stopped by {escape(report.stopped_by)}[/], everything saved"
    figures = ", ".join(f"{escape(name)} {value:.4g}" for name, value in report.figures.items() if name != "fade")
    return "\n".join(
        [
            f"{state}  {escape(', '.join(report.identities))}: {report.pictures} pictures, {duration(report.seconds)} this time "
            f"({report.pictures_per_second:.1f} pictures/s)",
            f"  {figures}",
            f"  model    {path(report.checkpoint)}",
            f"  preview  {path(report.preview)}",
        ]
    )


COMMAND = Command(
    sentence="Train a model on the gathered faces; the same command goes on where it stopped.",
    job=_job,
    show=_show,
    arguments=("family",),
    flags={"identities": ("--identity",)},
    hidden=(),
    example="understudy train comb --preset preview --minutes 30\n\n"
    "understudy train warping --data faces --layout folder --consent consent.toml --minutes 60",
    again="Everything is saved; give the same command again to go on.",
)
