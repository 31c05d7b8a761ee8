"""``understudy compare``: clips side by side, people's votes on them, and what the votes say."""

from __future__ import annotations

from typing import Any

from understudy.cli.command import Command, Progress
from understudy.cli.show import count, escape, path


def _job() -> Any:
    from understudy.jobs.options_compare import CompareOptions

    return CompareOptions, _compare


def _compare(options: Any, progress: Progress) -> Any:
    from understudy.jobs.compare import compare

    return compare(options, progress)


def _show(report: Any) -> str:
    if hasattr(report, "contenders"):
        return _votes(report)
    width, height = report.size
    lines = [f"[green]compared[/]  {count(report.num_frames, 'frame')} of {width} x {height}  {path(report.output)}"]
    for name, found in report.differences.items():
        lines.append(
            f"  {escape(name)} differs from {escape(report.names[0])} by {found.mean:.2%} on average, {found.largest:.1%} "
            f"at most; {found.beyond:.2%} of its map is beyond white"
        )
    return "\n".join(
        [*lines, *(f"[yellow]{escape(note)}[/]" for note in report.notes), f"  record  {path(report.record)}"]
    )


def _votes(report: Any) -> str:
    if hasattr(report, "asked"):
        head = f"[green]kept[/]  {report.votes} of {count(report.asked, 'vote')}  {path(report.file)}"
    else:
        head = f"{count(report.votes, 'vote')} by {count(report.voters, 'voter')}  {path(report.file)}"
    lines = [head]
    if report.contenders:
        width = max(len(contender.name) for contender in report.contenders)
        lines.append(
            f"[bold]{'':<{width}}  {'TrueSkill':>14}  {'sure':>6}  {'votes':>5}  {'won':>4}  {'drawn':>5}  fool rate (95 %)[/]"
        )
    for one in report.contenders:
        rating = f"{one.rating.mu:.1f} ± {one.rating.sigma:.1f}"
        fooled = "real" if one.real else _rate(one.fooled) if one.fooled else "-"
        lines.append(
            f"{escape(f'{one.name:<{width}}')}  {rating:>14}  {one.sure:>6.1f}  {one.votes:>5}  {one.won:>4}  "
            f"{one.drawn:>5}  {fooled}"
        )
    if getattr(report, "fooled", None) is not None:
        lines.append(f"taken for real in all: {_rate(report.fooled)}")
    if torn := getattr(report, "torn", ()):
        lines.append(f"[yellow]Left out, for it is no JSON: line {', '.join(map(str, torn))} of the file.[/]")
    return "\n".join(lines)


def _rate(found: Any) -> str:
    return f"{found.rate:.0%} ({found.low:.0%} to {found.high:.0%}) of {count(found.trials, 'trial')}"


COMMAND = Command(
    sentence="Lay clips side by side with difference maps or a wipe, or ask people which one is better.",
    job=_job,
    show=_show,
    arguments=("clips",),
    flags={"names": ("--name",)},
    example="understudy compare a.mov b.mov c.mov -o side.mov --labels --difference\n\n"
    "understudy compare a.mov b.mov --vote   then   understudy compare --votes votes.jsonl",
    again="Give the same command again; votes that were given are kept.",
)
