from __future__ import annotations

import numpy as np
import pytest

from understudy.errors import InternalError
from understudy.faces.action_units import COUNT, ActionUnit
from understudy.metrics.action_units import unit_error, unit_scores


def test_the_papers_error_is_a_sum_of_squares_averaged_over_frames():
    truth = np.zeros((2, COUNT))
    units = truth.copy()
    units[0, ActionUnit.AU12] = 2.0
    units[0, ActionUnit.AU06] = 1.0
    units[1, ActionUnit.AU45] = 3.0
    assert unit_error(units, truth) == pytest.approx((4 + 1 + 9) / 2)
    assert unit_error(units, truth, missing=np.array([False, True])) == pytest.approx(5)
    assert unit_error(np.full((3, COUNT), 5.0), np.zeros((3, COUNT))) == 425


def test_every_unit_has_its_error_and_correlation():
    random = np.random.default_rng(0)
    truth = random.uniform(0, 5, (200, COUNT))
    truth[:, ActionUnit.AU14] = 0
    units = truth * 0.5 + random.normal(0, 0.3, truth.shape)
    scores = unit_scores(units, truth)
    for unit in ActionUnit:
        first, second = units[:, unit], truth[:, unit]
        assert scores.error[unit] == pytest.approx(np.abs(first - second).mean())
        if unit != ActionUnit.AU14:
            assert scores.correlation[unit] == pytest.approx(np.corrcoef(first, second)[0, 1])
    assert np.isnan(scores.correlation[ActionUnit.AU14]) and scores.lazy_error[ActionUnit.AU14] == 0
    assert scores.lazy_error[ActionUnit.AU01] == pytest.approx(1.25, abs=0.15)
    assert scores.as_dict()["AU14"]["correlation"] is None
    assert scores.as_dict()["AU12"]["error"] == pytest.approx(scores.error[ActionUnit.AU12], abs=1e-4)


@pytest.mark.parametrize(
    ("units", "truth"), [((2, COUNT), (3, COUNT)), ((2, 16), (2, 16)), ((COUNT,), (COUNT,)), ((0, COUNT), (0, COUNT))]
)
def test_what_cannot_be_compared_is_our_bug(units, truth):
    with pytest.raises(InternalError):
        unit_error(np.zeros(units), np.zeros(truth))
