"""``understudy benchmark``: every family on a suite with exact answers."""

from __future__ import annotations

from typing import Any

from understudy.cli.command import Command, Progress
from understudy.cli.show import count, escape, path


def _job() -> Any:
    from understudy.jobs.options_benchmark import BenchmarkOptions

    return BenchmarkOptions, _benchmark


def _benchmark(options: Any, progress: Progress) -> Any:
    from understudy.jobs.benchmark import benchmark

    return benchmark(options, progress)


def _show(report: Any) -> str:
    from understudy.jobs.benchmark_faults import sentence
    from understudy.jobs.benchmark_rows import TRUTH
    from understudy.jobs.benchmark_tables import networks_of, text_table

    lines = []
    for kind, table in report.tables.items():
        tasks = len({row.task for row in report.rows if row.kind == kind})
        head, *body = text_table(table)
        lines += [f"[bold]{kind}[/] ({count(tasks, 'task')} of {escape(report.suite)})", f"[bold]{escape(head)}[/]"]
        lines += [escape(line) for line in body]
        said = [line for line in table if not line.skipped and line.contender != TRUTH]
        lines += [f"  {escape(line.contender)}: {escape(sentence(line))}" for line in said]
        lines += [f"[yellow]{escape(line.contender)}: {escape(line.skipped)}[/]" for line in table if line.skipped]
    notes = sorted({note for row in report.rows for note in row.notes})
    lines += [f"[dim]{escape(note)}[/]" for note in notes]
    lines += [f"[dim]{escape(label)}: {escape(words)}[/]" for label, words in networks_of(report.rows).items()]
    lines.append(
        f"[dim]* the best, ≈ as the truth; {report.minutes:g} min of training on {count(report.processors, 'processor')} each[/]"
    )
    return "\n".join([*lines, f"look at {path(report.page)}"])


COMMAND = Command(
    sentence="Measure all families, and what they have to beat, on a suite whose exact answers are known.",
    job=_job,
    show=_show,
    example="understudy benchmark --suite synthetic --family comb --minutes 7 -o benchmark",
    again="Give the same command again: finished rows are kept, and training goes on where it was.",
)
