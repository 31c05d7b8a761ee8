"""``understudy edit``: a still with its face changed."""

from __future__ import annotations

from typing import Any

from understudy.cli.animate import show_animation
from understudy.cli.command import Command, Group, Progress
from understudy.cli.show import escape


def _landmarks_job() -> Any:
    from understudy.jobs.options_edit_landmarks import EditLandmarksOptions

    return EditLandmarksOptions, _landmarks


def _landmarks(options: Any, progress: Progress) -> Any:
    from understudy.jobs.edit_landmarks import edit_landmarks

    return edit_landmarks(options, progress)


def _show_landmarks(report: Any) -> str:
    if report.picture is not None:
        return show_animation(report.picture)
    width = max(len(name) for name in report.handles)
    lines = [f"  {escape(f'{name:<{width}}')}  [dim]{escape(title)}[/]" for name, title in report.handles.items()]
    return "\n".join(["[bold]points to --move[/], left and right being the person's own:", *lines])


COMMAND = Group(
    sentence="Change the face of a still.",
    commands={
        "landmarks": Command(
            sentence="Move named points of a face; the rest of it follows.",
            job=_landmarks_job,
            show=_show_landmarks,
            arguments=("still",),
            flags={"output": ("--output", "-o"), "run": ("--run", "--checkpoint"), "list_": ("--list",)},
            example="understudy edit landmarks portrait.jpg --move mouth_left=+6,-3 --move mouth_right=-6,-3 -o edited.png",
        ),
    },
)
