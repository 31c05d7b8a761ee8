"""Limits on figures, for pipelines: each passes or fails, and what was not measured has not passed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from understudy.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A bound on a measure's mean."""

    measure: str
    kind: str
    """``below`` or ``above``: where it fails."""
    bound: float


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A limit and what was found; ``value`` is None where the measure could not be taken."""

    measure: str
    kind: str
    bound: float
    value: float | None
    passed: bool

    def __str__(self) -> str:
        found = "was not measured" if self.value is None else f"is {self.value:.4g}"
        return f"{self.measure} {found}; it fails {self.kind} {self.bound:g}: {'pass' if self.passed else 'FAIL'}"


def read_limits(fail_below: Sequence[str], fail_above: Sequence[str], known: Mapping[str, Any]) -> tuple[Limit, ...]:
    """Limits from texts such as ``identity=0.6``.

    Raises:
        OptionError: no such measure, or no number.
    """
    limits = []
    for kind, texts in (("below", fail_below), ("above", fail_above)):
        for text in texts:
            name, _, number = text.partition("=")
            if name not in known:
                raise OptionError(
                    f"--fail-{kind} {text}: there is no measure {name!r}; choose from {', '.join(known)}."
                )
            try:
                bound = float(number)
            except ValueError:
                bound = math.nan
            if not math.isfinite(bound):
                raise OptionError(f"--fail-{kind} {text}: write it as {name}=NUMBER, such as {name}=0.6.")
            limits.append(Limit(measure=name, kind=kind, bound=bound))
    return tuple(limits)


def judge(limits: Sequence[Limit], found: Mapping[str, float]) -> tuple[Verdict, ...]:
    """Every limit with the measure's value; a missing one, or not-a-number, fails."""
    verdicts = []
    for limit in limits:
        value = found.get(limit.measure)
        if value is not None and math.isnan(value):
            value = None
        inside = value is not None and (value >= limit.bound if limit.kind == "below" else value <= limit.bound)
        verdicts.append(Verdict(measure=limit.measure, kind=limit.kind, bound=limit.bound, value=value, passed=inside))
    return tuple(verdicts)
