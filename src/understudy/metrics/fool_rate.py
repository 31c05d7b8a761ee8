"""Fool rate: how often people took what was generated for the real thing, with a confidence interval (Wilson 1927).

The paper on AF-VAE (002, section 4.3) shows a real and a generated picture and asks which one is real; the fool rate is the
share of trials in which the generated one was chosen. Half would be perfect. "Cannot tell" counts as half a trial each way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from understudy.errors import InternalError


@dataclass(frozen=True, kw_only=True)
class FoolRate:
    """A share of trials, 0 to 1, and the interval in which the true one lies with ``confidence``."""

    rate: float
    low: float
    high: float
    trials: int
    confidence: float


def fool_rate(fooled: float, trials: int, *, confidence: float = 0.95) -> FoolRate:
    """The share ``fooled / trials`` with Wilson's score interval, which stays within [0, 1] and serves few trials too.

        (p + z²/2n +- z sqrt(p (1 - p) / n + z²/4n²)) / (1 + z²/n)

    Args:
        fooled: trials in which the generated one was taken for real; one that could not be told counts as a half.
        trials: all of them; with none the rate is not a number and the interval is everything.
        confidence: between 0 and 1.

    Raises:
        InternalError: more fooled than trials, or a confidence that is none.
    """
    if not 0 <= fooled <= trials or not 0 < confidence < 1:
        raise InternalError(f"{fooled} of {trials} trials at a confidence of {confidence} is no rate")
    if trials == 0:
        return FoolRate(rate=math.nan, low=0.0, high=1.0, trials=0, confidence=confidence)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, shrink = fooled / trials, 1 + z * z / trials
    middle = (share + z * z / (2 * trials)) / shrink
    reach = z / shrink * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return FoolRate(
        rate=share, low=max(middle - reach, 0.0), high=min(middle + reach, 1.0), trials=trials, confidence=confidence
    )
