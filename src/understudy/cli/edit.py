"""``understudy edit``: a still with its face changed."""

from __future__ import annotations

from typing import Any

from understudy.cli.animate import show_animation
from understudy.cli.command import Command, Group, Progress
from understudy.cli.show import duration, escape, path


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


def _regions_job() -> Any:
    from understudy.jobs.options_edit import EditOptions

    return EditOptions, _regions


def _regions(options: Any, progress: Progress) -> Any:
    from understudy.jobs.edit import edit_regions

    return edit_regions(options, progress)


def _show_regions(report: Any) -> str:
    changed = ", ".join(f"{escape(name)} ({share:.1%} of the crop)" for name, share in report.changed.items())
    lines = [
        f"[green]edited[/]  {path(report.output)}",
        f"  changed  {changed or ('the whole crop, as the model makes it' if report.fit else 'nothing')}",
    ]
    if report.fit:
        lines.append(
            f"  fitted   from {report.fit_before:.4g} to {report.fit_after:.4g} by {escape(', '.join(report.fit))}"
        )
    lines += [f"  {escape(note)}" for note in report.notes]
    if report.people_sheet:
        lines.append(f"  everybody in the still: {path(report.people_sheet)}")
    lines.append(f"  look at {path(report.sheet)}")
    stages = ", ".join(f"{name} {duration(seconds)}" for name, seconds in report.seconds.items())
    return "\n".join([*lines, f"  record  {path(report.record)}", f"[dim]{stages}[/]"])


COMMAND = Group(
    sentence="Change the face of a still: regions' textures and shapes, or named points.",
    usual="regions",
    commands={
        "regions": Command(
            sentence="Take a region's texture from another picture, or its shape from a repainted map (the word may be left out).",
            job=_regions_job,
            show=_show_regions,
            arguments=("still",),
            flags={"run": ("--run", "--checkpoint")},
            example="understudy edit portrait.jpg --style lips=other.jpg --style hair=other.jpg:0.6 -o edited.png\n\n"
            "understudy edit portrait.jpg --mask repainted.png -o edited.png",
        ),
        "landmarks": Command(
            sentence="Move named points of a face; the rest of it follows.",
            job=_landmarks_job,
            show=_show_landmarks,
            arguments=("still",),
            flags={"run": ("--run", "--checkpoint"), "list_": ("--list",)},
            example="understudy edit landmarks portrait.jpg --move mouth_left=+6,-3 --move mouth_right=-6,-3 -o edited.png",
        ),
    },
)
