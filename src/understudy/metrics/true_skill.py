"""TrueSkill: ratings from comparisons, with how sure they are (Herbrich, Minka and Graepel 2007).

A player's skill is s ~ N(mu, sigma²), the performance in one match p ~ N(s, beta²). A match says in which order the performances
were; two that lie within ``margin`` of each other are a draw. The posterior is found by passing messages in the paper's factor
graph (Fig. 1): exactly for two players, by expectation propagation until nothing moves for more. In the units used here a new
player is 25 +- 8.333; the paper on AF-VAE (002, Table 3) reports ratings in these.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from understudy.errors import InternalError

_UNIT = NormalDist()
_TINY = 1e-300  # below it a probability is zero to the machine, and limits are used
_SETTLED, _MOST_PASSES = 1e-9, 200


@dataclass(frozen=True, kw_only=True)
class Rating:
    """What is believed of a player's skill: mean and standard deviation."""

    mu: float = 25.0
    sigma: float = 25.0 / 3

    @property
    def sure(self) -> float:
        """The skill that is reached or exceeded with 99.9 % probability, ``mu - 3 sigma``: what ranking lists sort by."""
        return self.mu - 3 * self.sigma


@dataclass(frozen=True, kw_only=True)
class TrueSkillSettings:
    """The model's constants; the defaults are the paper's."""

    beta: float = 25.0 / 6
    """Standard deviation of one match's performance about the skill."""
    tau: float = 25.0 / 300
    """Standard deviation by which skill may have drifted since the last match."""
    draw_probability: float = 0.10
    """How often two equals draw, 0 to below 1."""

    @property
    def margin(self) -> float:
        """The largest difference of performances that is still a draw (the paper's epsilon)."""
        return _UNIT.inv_cdf((self.draw_probability + 1) / 2) * math.sqrt(2) * self.beta


@dataclass(frozen=True)
class _Gaussian:
    """A message in natural parameters: ``precision`` 1 / variance, ``shift`` mean / variance; both 0 says nothing."""

    precision: float = 0.0
    shift: float = 0.0

    @classmethod
    def of(cls, mean: float, variance: float) -> _Gaussian:
        return cls(1 / variance, mean / variance)

    @property
    def mean(self) -> float:
        return self.shift / self.precision

    @property
    def variance(self) -> float:
        return 1 / self.precision

    def __mul__(self, other: _Gaussian) -> _Gaussian:
        return _Gaussian(self.precision + other.precision, self.shift + other.shift)

    def __truediv__(self, other: _Gaussian) -> _Gaussian:
        return _Gaussian(self.precision - other.precision, self.shift - other.shift)

    def widened(self, variance: float) -> _Gaussian:
        """The same with Gaussian noise of ``variance`` added."""
        return _Gaussian.of(self.mean, self.variance + variance) if self.precision > 0 else self


def rate(
    ratings: Sequence[Rating], ranks: Sequence[int], settings: TrueSkillSettings | None = None
) -> tuple[Rating, ...]:
    """The ratings after one match of two or more players, each for themselves.

    Args:
        ratings: before the match.
        ranks: place of each player; the lowest has won, equal ranks are a draw. Of three or more that draw, neighbours are
            compared in the order given, as the paper does; another order moves the third digit.
        settings: None for the paper's.

    Raises:
        InternalError: fewer than two players, or not a rank for each.
    """
    settings = settings or TrueSkillSettings()
    if len(ratings) < 2 or len(ratings) != len(ranks):
        raise InternalError(f"{len(ratings)} players with {len(ranks)} ranks are no match")
    order = sorted(range(len(ratings)), key=lambda player: ranks[player])
    skills = [_Gaussian.of(ratings[player].mu, ratings[player].sigma ** 2 + settings.tau**2) for player in order]
    performances = [skill.widened(settings.beta**2) for skill in skills]
    draws = [ranks[a] == ranks[b] for a, b in zip(order, order[1:], strict=False)]
    # Of every comparison of neighbours: what it says to the one in front and to the one behind.
    to_front, to_back = [_Gaussian()] * len(draws), [_Gaussian()] * len(draws)
    passes = [*range(len(draws)), *reversed(range(len(draws) - 1))]
    for _ in range(_MOST_PASSES if len(draws) > 1 else 1):
        moved = 0.0
        for place in passes:
            front = performances[place] * (to_back[place - 1] if place else _Gaussian())
            back = performances[place + 1] * (to_front[place + 1] if place + 1 < len(draws) else _Gaussian())
            said = _compare(front, back, settings.margin, draw=draws[place])
            new = (_sum(said, back), _difference(front, said))
            for kept, message in zip((to_front, to_back), new, strict=True):
                moved = max(
                    moved, abs(kept[place].shift - message.shift), abs(kept[place].precision - message.precision)
                )
                kept[place] = message
        if moved < _SETTLED:
            break
    found: list[Rating] = [Rating()] * len(ratings)
    for place, player in enumerate(order):
        heard = to_back[place - 1] if place else _Gaussian()
        if place < len(draws):
            heard = heard * to_front[place]
        skill = skills[place] * heard.widened(settings.beta**2)
        found[player] = Rating(mu=skill.mean, sigma=math.sqrt(skill.variance))
    return tuple(found)


def win_probability(rating: Rating, other: Rating, settings: TrueSkillSettings | None = None) -> float:
    """How likely the first performs better than the second, draws left aside."""
    settings = settings or TrueSkillSettings()
    spread = math.sqrt(rating.sigma**2 + other.sigma**2 + 2 * settings.beta**2)
    return _UNIT.cdf((rating.mu - other.mu) / spread)


def _sum(one: _Gaussian, other: _Gaussian) -> _Gaussian:
    if one.precision <= 0 or other.precision <= 0:
        return _Gaussian()
    return _Gaussian.of(one.mean + other.mean, one.variance + other.variance)


def _difference(one: _Gaussian, other: _Gaussian) -> _Gaussian:
    if one.precision <= 0 or other.precision <= 0:
        return _Gaussian()
    return _Gaussian.of(one.mean - other.mean, one.variance + other.variance)


def _compare(front: _Gaussian, back: _Gaussian, margin: float, *, draw: bool) -> _Gaussian:
    """What the order of two performances says of their difference: the truncated Gaussian's moments, divided by what was known."""
    known = _difference(front, back)
    deviation = math.sqrt(known.variance)
    v, w = (_within if draw else _beyond)(known.mean / deviation, margin / deviation)
    w = min(max(w, 0.0), 1 - 1e-12)  # a variance stays positive
    return _Gaussian.of(known.mean + deviation * v, known.variance * (1 - w)) / known


def _beyond(t: float, margin: float) -> tuple[float, float]:
    """The paper's V and W for a win: additive and multiplicative change of a unit Gaussian at ``t`` cut off below ``margin``."""
    at = t - margin
    mass = _cdf(at)
    if mass < _TINY:
        return -at, 1.0  # the limit: all mass lies at the cut
    v = _UNIT.pdf(at) / mass
    return v, v * (v + at)


def _within(t: float, margin: float) -> tuple[float, float]:
    """V and W for a draw: a unit Gaussian at ``t`` cut off beyond ``margin`` on both sides."""
    if t < 0:  # the mirror image, with the digits of the lower tail
        v, w = _within(-t, margin)
        return -v, w
    low, high = -margin - t, margin - t
    mass = _cdf(high) - _cdf(low)
    if mass < _TINY:
        return high, 1.0
    v = (_UNIT.pdf(low) - _UNIT.pdf(high)) / mass
    return v, v * v + (high * _UNIT.pdf(high) - low * _UNIT.pdf(low)) / mass


def _cdf(x: float) -> float:
    """The normal distribution's, with its digits in the lower tail too."""
    return 0.5 * math.erfc(-x / math.sqrt(2))
