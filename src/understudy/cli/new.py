"""``understudy new``: a project folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from understudy.cli.command import Command, Progress
from understudy.cli.show import escape


@dataclass(frozen=True, kw_only=True)
class NewOptions:
    """What :func:`understudy.new_project` takes."""

    path: Path = field(metadata={"help": "The project's folder."})
    identities: tuple[str, ...] = field(
        default=(),
        metadata={"help": "A member of the cast; give it once for each. Their consent is then filled in by hand."},
    )


def _new(options: NewOptions, progress: Progress) -> dict[str, Any]:
    from understudy.jobs.project import new_project

    project = new_project(options.path, identities=options.identities)
    return {"project": project.root, "cast": project.cast_path, "identities": list(options.identities)}


def _show(report: Any) -> str:
    lines = [f"[green]made[/]  {escape(report['project'])}"]
    who = ", ".join(report["identities"])
    lines.append(
        f"Fill in the consent of {who} in {escape(report['cast'])} before gathering."
        if who
        else f"Name the cast, with each one's consent, in {escape(report['cast'])} before gathering."
    )
    return "\n".join(lines)


COMMAND = Command(
    sentence="Make a project: cast.toml, footage/, faces/, runs/, renders/.",
    job=lambda: (NewOptions, _new),
    show=_show,
    arguments=("path",),
    flags={"identities": ("--identity",)},
    example="understudy new my-show --identity anna --identity robin",
)
