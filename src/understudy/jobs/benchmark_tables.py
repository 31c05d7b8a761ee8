"""The benchmark's tables, as text and as HTML: a row a measure, a column a contender."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from understudy.jobs.benchmark_faults import sentence
from understudy.jobs.benchmark_rows import MEASURES, TRUTH, Row, TableLine, arrow, best, number

_TIMES = ("trained", "pictures seen", "seconds a frame")


def text_table(lines: Sequence[TableLine]) -> list[str]:
    """The table as lines of text of equal columns; the best value of each measure is starred."""
    shown = [line for line in lines if not line.skipped]
    body = [["", *(line.contender for line in shown)]]
    for name in taken(shown):
        label, unit = MEASURES[name].label, MEASURES[name].unit
        row = [f"{label}{f', {unit}' if unit else ''} {arrow(name)}"]
        for line in shown:
            value = line.scores.get(name)
            star = "*" if _is_best(lines, line, name) else " "
            row.append("" if value is None else f"{number(name, value)}{star}")
        body.append(row)
    times = [_times(line) for line in shown]
    for place, label in enumerate(_TIMES):
        if any(row[place] for row in times):
            body.append([label, *(f"{row[place]} " if row[place] else "" for row in times)])
    widths = [max((len(row[column]) for row in body), default=0) for column in range(len(body[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in body
    ]


def html_table(lines: Sequence[TableLine]) -> str:
    """The table; the best value of each measure stands out."""
    shown = [line for line in lines if not line.skipped]
    heads = "".join(
        f"<th>{html.escape(line.contender)}{_starts(line)}</th>" if line.contender != TRUTH else "<th>the truth</th>"
        for line in shown
    )
    rows = []
    for name in taken(shown):
        cells = "".join(_cell(lines, line, name) for line in shown)
        rows.append(f"<tr><td>{_heading(name)}</td>{cells}</tr>")
    times = [_times(line) for line in shown]
    for place, label in enumerate(_TIMES):
        if any(row[place] for row in times):
            cells = "".join(f"<td>{html.escape(row[place])}</td>" for row in times)
            rows.append(f"<tr class='faint'><td>{label}</td>{cells}</tr>")
    return f"<table><tr><th></th>{heads}</tr>{''.join(rows)}</table>"


def html_faults(lines: Sequence[TableLine]) -> str:
    """What the figures of each contender say is wrong with its pictures."""
    rows = "".join(
        f"<tr><td>{html.escape(line.contender)}</td><td class='words'>{html.escape(sentence(line))}</td></tr>"
        for line in lines
        if not line.skipped and line.contender != TRUTH
    )
    return f"<table class='said'><tr><th></th><th class='words'>largest fault by the figures</th></tr>{rows}</table>"


def line_of(row: Row) -> TableLine:
    """One task's row as a line of a table."""
    return TableLine(
        contender=row.contender,
        scores=row.scores,
        tasks=1,
        training=row.training,
        pictures=row.pictures,
        per_frame=row.per_frame,
        starts="",
    )


def networks_of(rows: Sequence[Row]) -> Mapping[str, str]:
    """What stands behind the figures: a measure's label -> the network, with what it is not."""
    found = {name: words for row in rows for name, words in row.networks.items() if name in row.scores}
    return {MEASURES[name].label: found[name] for name in MEASURES if name in found}


def taken(lines: Sequence[TableLine]) -> list[str]:
    """The measures that somebody has, in the tables' order."""
    return [name for name in MEASURES if any(name in line.scores for line in lines)]


def _is_best(lines: Sequence[TableLine], line: TableLine, name: str) -> bool:
    return line.contender != TRUTH and name in line.scores and line.scores[name] == best(lines, name)


def _cell(lines: Sequence[TableLine], line: TableLine, name: str) -> str:
    value = line.scores.get(name)
    if value is None:
        return "<td></td>"
    kind = " class=best" if _is_best(lines, line, name) else " class=faint" if line.contender == TRUTH else ""
    return f"<td{kind}>{number(name, value)}</td>"


def _heading(name: str) -> str:
    measure = MEASURES[name]
    unit = f" <small>{html.escape(measure.unit)}</small>" if measure.unit else ""
    return f"{html.escape(measure.label)} {arrow(name)}{unit}"


def _starts(line: TableLine) -> str:
    return f"<br><small>from {html.escape(line.starts)}</small>" if line.starts else ""


def _times(line: TableLine) -> list[str]:
    trained = f"{line.training / 60:.1f} min" if line.training else ""
    return [trained, str(line.pictures) if line.pictures else "", f"{line.per_frame:.2f}" if line.per_frame else ""]
