"""Words that several commands' reports share. Text may carry rich's markup; what comes from outside is escaped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


def escape(text: object) -> str:
    """``text`` so that its square brackets are not taken for markup."""
    return str(text).replace("[", "\\[")


def path(value: object) -> str:
    """A file or folder."""
    return f"[bold]{escape(value)}[/]"


def count(number: int, one: str, many: str | None = None) -> str:
    """``1 frame``, ``2 frames``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """``41 s``, ``7 min 05 s``, ``2 h 10 min``."""
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def reasons(pairs: Iterable[tuple[int, str]], *, most: int = 6) -> list[str]:
    """Frames that were left out, gathered by their reason: ``no face: 1001-1003, 1010``."""
    numbers: dict[str, list[int]] = {}
    for number, reason in pairs:
        numbers.setdefault(reason, []).append(number)
    ordered = sorted(numbers, key=lambda reason: -len(numbers[reason]))
    lines = [f"  {escape(reason)}: {ranges(numbers[reason])}" for reason in ordered[:most]]
    left = Counter({reason: len(numbers[reason]) for reason in ordered[most:]})
    return [*lines, f"  and {sum(left.values())} for other reasons"] if left else lines


def ranges(numbers: Iterable[int], *, most: int = 8) -> str:
    """``1001-1003, 1010``; a long list is cut."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    words = [f"{first}" if first == last else f"{first}-{last}" for first, last in runs]
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")
