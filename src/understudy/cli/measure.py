"""``understudy measure``: a swapped shot against the truth."""

from __future__ import annotations

from typing import Any

from understudy.cli.command import Command
from understudy.cli.show import count, escape


def _job() -> Any:
    from understudy.jobs.measure import MeasureOptions, measure

    return MeasureOptions, measure


def _show(report: Any) -> str:
    from understudy.jobs.measure import MEASURES

    taken = [name for name in MEASURES if any(name in scores for scores in report.scores.values())]
    heads = [f"{MEASURES[name][0]}{f' [{MEASURES[name][1]}]' if MEASURES[name][1] else ''}" for name in taken]
    widths = [max(len(head), 8) for head in heads]
    lines = [
        "[bold]" + escape("  ".join([f"{'':<10}", *(f"{h:>{w}}" for h, w in zip(heads, widths, strict=True))])) + "[/]"
    ]
    for candidate, scores in report.scores.items():
        cells = (
            f"{scores[name]:>{width}.4f}" if name in scores else " " * width
            for name, width in zip(taken, widths, strict=True)
        )
        lines.append("  ".join([f"{candidate:<10}", *cells]))
    shake = ", ".join(f"{name} {value:.3f}" for name, value in report.jitter.items())
    lines.append(f"landmark jitter, px: {shake}")
    better = ", ".join(f"{MEASURES[name][0]} {MEASURES[name][2]}" for name in taken)
    lines += [f"[dim]{count(len(report.numbers), 'frame')} at {report.size} pixels; better is: {better}[/]"]
    return "\n".join([*lines, *(f"[yellow]{escape(sentence)}[/]" for sentence in report.missing)])


COMMAND = Command(
    sentence="Measure a swapped shot inside the face, against the true answer where there is one.",
    job=_job,
    show=_show,
    arguments=("swap",),
    example="understudy measure renders/shot.mp4 --plate footage/shot.mp4 --identity anna --truth true.mp4",
)
