"""What all report pages share: one style sheet, and charts of lines over frames. Plain HTML, nothing is loaded from elsewhere."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from importlib import resources


def style() -> str:
    """The pages' style sheet."""
    return (resources.files("understudy.jobs") / "report.css").read_text("utf-8")


def line_chart(title: str, numbers: Sequence[int], lines: Mapping[str, Sequence[float]]) -> str:
    """An SVG of values by frame number; a line with one value less than there are frames begins at the second.

    ``lines`` are by candidate (``swap``, ``plate``, ``neighbour``, ``truth``: each has its colour); values that are not finite are
    left out.
    """
    width, height, left, right, top, bottom = 420, 170, 44, 8, 24, 20
    values = [value for line in lines.values() for value in line if math.isfinite(value)]
    low, high = min(values), max(values)
    low, high = (low - 0.5, high + 0.5) if high - low < 1e-9 else (low, high)
    span = max(numbers[-1] - numbers[0], 1)

    def place(number: int, value: float) -> str:
        x = left + (number - numbers[0]) / span * (width - left - right)
        y = top + (high - value) / (high - low) * (height - top - bottom)
        return f"{x:.1f},{y:.1f}"

    paths = []
    for name, line in reversed(list(lines.items())):  # the first is what the chart is about, and lies on top
        shown = numbers[len(numbers) - len(line) :]
        points = " ".join(place(n, v) for n, v in zip(shown, line, strict=True) if math.isfinite(v))
        paths.append(f'<polyline points="{points}" fill="none" stroke="var(--{name})" stroke-width="1.6"/>')
    ticks = "".join(
        f'<line x1="{left}" x2="{width - right}" y1="{y}" y2="{y}" stroke="var(--line)"/>'
        f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{value:.3g}</text>'
        for value, y in ((high, top), ((high + low) / 2, (top + height - bottom) / 2), (low, height - bottom))
    )
    feet = (
        f'<text x="{left}" y="{height - 4}">{numbers[0]}</text>'
        f'<text x="{width - right}" y="{height - 4}" text-anchor="end">{numbers[-1]}</text>'
    )
    words = html.escape(title)
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{words}">'
        f'<text x="{left}" y="14">{words}</text>{ticks}{feet}{"".join(paths)}</svg>'
    )
