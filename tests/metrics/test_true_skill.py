"""TrueSkill and the fool rate against published values, quadrature and hand-worked numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from understudy.errors import InternalError
from understudy.metrics.fool_rate import fool_rate
from understudy.metrics.true_skill import Rating, TrueSkillSettings, rate, win_probability


def pairs(ratings):
    return [(round(rating.mu, 3), round(rating.sigma, 3)) for rating in ratings]


def test_two_new_players_come_out_as_published():
    assert pairs(rate([Rating(), Rating()], [1, 2])) == [(29.396, 7.171), (20.604, 7.171)]
    assert pairs(rate([Rating(), Rating()], [2, 1])) == [(20.604, 7.171), (29.396, 7.171)]
    assert pairs(rate([Rating(), Rating()], [1, 1])) == [(25.0, 6.458), (25.0, 6.458)]


def test_more_players_come_out_as_published():
    assert pairs(rate([Rating()] * 3, [1, 2, 3])) == [(31.675, 6.656), (25.0, 6.208), (18.325, 6.656)]
    four = rate([Rating()] * 4, [1, 2, 3, 4])
    assert pairs(four) == [(33.207, 6.348), (27.401, 5.787), (22.599, 5.787), (16.793, 6.348)]
    assert [round(rating.mu, 3) for rating in rate([Rating()] * 3, [1, 1, 1])] == [25.0, 25.0, 25.0]


@pytest.mark.parametrize("draw", [False, True])
def test_two_players_agree_with_an_integral_over_all_skills(draw):
    """The posterior's moments, by summing over a grid of both skills; two players are no approximation."""
    one, other, settings = Rating(mu=21.0, sigma=4.0), Rating(mu=30.0, sigma=6.5), TrueSkillSettings(tau=0.0)
    grid = np.linspace(-30, 80, 1101)
    density = [np.exp(-0.5 * ((grid - rating.mu) / rating.sigma) ** 2) for rating in (one, other)]
    gap = (grid[:, None] - grid[None]) / (math.sqrt(2) * settings.beta)
    cdf = np.vectorize(lambda x: 0.5 * math.erfc(-x / math.sqrt(2)))
    margin = settings.margin / (math.sqrt(2) * settings.beta)
    likelihood = cdf(gap + margin) - cdf(gap - margin) if draw else cdf(gap - margin)
    joint = density[0][:, None] * density[1][None] * likelihood
    joint /= joint.sum()
    found = rate([one, other], [1, 1] if draw else [1, 2], settings)
    for rating, weights in zip(found, (joint.sum(axis=1), joint.sum(axis=0)), strict=True):
        mean = (grid * weights).sum()
        assert rating.mu == pytest.approx(mean, abs=1e-3)
        assert rating.sigma == pytest.approx(math.sqrt(((grid - mean) ** 2 * weights).sum()), abs=1e-3)


def test_the_order_in_which_players_are_named_does_not_matter():
    ratings = [Rating(mu=20, sigma=3), Rating(mu=30, sigma=2), Rating(mu=25, sigma=8), Rating(mu=27, sigma=5)]
    ranks = [3, 1, 2, 4]
    forward, backward = rate(ratings, ranks), rate(ratings[::-1], ranks[::-1])
    for a, b in zip(forward, reversed(backward), strict=True):
        assert (a.mu, a.sigma) == pytest.approx((b.mu, b.sigma), abs=1e-6)


def test_an_impossible_surprise_stays_finite():
    upset = rate([Rating(mu=-400, sigma=1), Rating(mu=400, sigma=1)], [1, 2])
    assert all(math.isfinite(rating.mu) and rating.sigma > 0 for rating in upset)
    assert upset[0].mu > -400 and upset[1].mu < 400
    even = rate([Rating(mu=-400, sigma=1), Rating(mu=400, sigma=1)], [1, 1])
    assert even[0].mu > -400 and even[1].mu < 400


def test_probability_of_winning_and_the_sure_skill():
    assert win_probability(Rating(), Rating()) == pytest.approx(0.5)
    spread = math.sqrt(2 * 1.0 + 2 * (25 / 6) ** 2)
    expected = 0.5 * math.erfc(-(5 / spread) / math.sqrt(2))
    assert win_probability(Rating(mu=30, sigma=1), Rating(mu=25, sigma=1)) == pytest.approx(expected)
    assert Rating().sure == pytest.approx(0.0)


def test_a_match_needs_two_players_and_their_ranks():
    with pytest.raises(InternalError):
        rate([Rating()], [1])
    with pytest.raises(InternalError):
        rate([Rating(), Rating()], [1])


def test_wilson_interval_against_worked_values():
    """20 of 50: Wilson's own formula by hand gives 0.2761 to 0.5382 (z = 1.95996)."""
    found = fool_rate(20, 50)
    assert (found.rate, round(found.low, 4), round(found.high, 4)) == (0.4, 0.2761, 0.5382)
    none = fool_rate(0, 10)
    assert none.low == pytest.approx(0.0, abs=1e-15)
    assert none.high == pytest.approx(1.959964**2 / (10 + 1.959964**2), abs=1e-6)  # at p = 0 the formula is z²/(n + z²)
    assert fool_rate(2.5, 5).rate == 0.5


def test_no_trials_say_nothing():
    found = fool_rate(0, 0)
    assert math.isnan(found.rate) and (found.low, found.high) == (0.0, 1.0)
    with pytest.raises(InternalError):
        fool_rate(3, 2)
