from __future__ import annotations

import numpy as np
import pytest

from understudy.errors import OptionError
from understudy.faces.action_units import (
    COUNT,
    EXPRESSIONS,
    ActionUnit,
    expression,
    neutral_of,
    relative,
    smooth,
    units_of_weights,
)


def test_the_units_are_openfaces_in_its_order():
    names = ["01", "02", "04", "05", "06", "07", "09", "10", "12", "14", "15", "17", "20", "23", "25", "26", "45"]
    assert [unit.name for unit in ActionUnit] == [f"AU{name}" for name in names]
    assert [int(unit) for unit in ActionUnit] == list(range(COUNT))
    assert ActionUnit.AU12.title == "lip corner puller" and ActionUnit.AU45.title == "blink"


def test_expressions_grow_with_strength_and_stay_on_the_scale():
    for name, units in EXPRESSIONS.items():
        assert units.shape == (COUNT,) and units.dtype == np.float32
        assert units.min() >= 0 and units.max() <= 5
        np.testing.assert_array_equal(expression(name), units)
        np.testing.assert_array_equal(expression(name, 0), 0)
        assert expression(name, 2).max() <= 5
    np.testing.assert_allclose(expression("smile", 0.5), EXPRESSIONS["smile"] / 2)
    assert EXPRESSIONS["smile"].argmax() == ActionUnit.AU12


def test_an_unknown_expression_or_strength_is_a_sentence():
    with pytest.raises(OptionError, match="'smirk'; take one of neutral, smile"):
        expression("smirk")
    for strength in (-0.1, 2.1, float("nan")):
        with pytest.raises(OptionError, match="between 0 and 2"):
            expression("smile", strength)


def test_relative_units_begin_at_the_neutral_and_still_reach_the_top():
    neutral = np.zeros(COUNT, np.float32)
    neutral[ActionUnit.AU45] = 1.5
    units = np.zeros((3, COUNT), np.float32)
    units[:, ActionUnit.AU45] = (1.0, 1.5, 5.0)
    units[:, ActionUnit.AU12] = (0.0, 2.0, 5.0)
    found = relative(units, neutral)
    np.testing.assert_allclose(found[:, ActionUnit.AU45], (0, 0, 5))
    np.testing.assert_allclose(found[:, ActionUnit.AU12], (0, 2, 5))
    # A neutral that is no face at rest does not turn shake into expressions.
    assert relative(np.full(COUNT, 4.9), np.full(COUNT, 4.9)).max() <= 5


def test_neutral_is_what_the_face_mostly_rests_at():
    units = np.full((100, COUNT), 0.5, np.float32)
    units[30:70] = 4.0
    units[0] = 0.0  # one frame measured wrongly
    np.testing.assert_allclose(neutral_of(units), 0.5)
    missing = np.zeros(100, bool)
    missing[0] = True
    np.testing.assert_allclose(neutral_of(units, missing=missing), 0.5)
    with pytest.raises(OptionError, match="at least one frame"):
        neutral_of(units, missing=np.ones(100, bool))


def test_smoothing_has_no_lag_and_keeps_peaks():
    time = np.arange(200) / 25.0
    clean = np.zeros((200, COUNT))
    clean[:, ActionUnit.AU12] = 4.0 * np.exp(-(((time - 4.0) / 0.35) ** 2))
    clean[100:103, ActionUnit.AU45] = 5.0
    shaken = np.clip(clean + np.random.default_rng(0).normal(0, 0.15, clean.shape) * (clean > 0.5), 0, 5)
    found = smooth(shaken, 25)
    assert found.dtype == np.float32 and found.min() >= 0 and found.max() <= 5
    assert abs(int(found[:, ActionUnit.AU12].argmax()) - 100) <= 1
    # The centre of mass does not move: no lag.
    weight = found[:, ActionUnit.AU12]
    assert (weight * np.arange(200)).sum() / weight.sum() == pytest.approx(100, abs=0.3)
    assert weight.max() > 3.7
    assert found[:, ActionUnit.AU45].max() == 5.0
    before = np.abs(shaken - clean)[:, ActionUnit.AU12].mean()
    assert np.abs(found - clean)[:, ActionUnit.AU12].mean() < 0.75 * before


def test_smoothing_keeps_parabolas_to_the_ends_and_nothing_of_missing_rows():
    time = np.arange(50) / 50.0
    units = np.repeat((1.0 + 2.0 * time - time**2)[:, None], COUNT, axis=1)
    np.testing.assert_allclose(smooth(units, 50), units, atol=5e-3)
    missing = np.zeros(50, bool)
    missing[20:23] = True
    spoilt = units.copy()
    spoilt[missing] = 5.0
    np.testing.assert_allclose(smooth(spoilt, 50, missing=missing), units, atol=5e-3)


@pytest.mark.parametrize("unit", [ActionUnit.AU12, ActionUnit.AU45])
def test_gaps_hold_and_are_bridged_without_a_leap(unit):
    units = np.repeat(2.0 + 2.0 * np.sin(np.arange(60) / 12.0)[:, None], COUNT, axis=1)
    missing = np.zeros(60, bool)
    missing[:5] = missing[20:40] = missing[55:] = True
    units[missing] = 0.0
    for rate in (10, 25, 50):  # at 10 a second nothing is steadied, gaps are bridged all the same
        found = smooth(units, rate, missing=missing)[:, unit]
        np.testing.assert_allclose(found[19:41], np.linspace(found[19], found[40], 22), atol=1e-5)
        assert (found[:5] == found[5]).all() and (found[55:] == found[54]).all()
        np.testing.assert_allclose(found[~missing], units[~missing, unit], atol=0.05)


def test_smoothing_leaves_short_or_slow_series_alone():
    units = np.random.default_rng(0).uniform(0, 5, (2, COUNT)).astype(np.float32)
    np.testing.assert_array_equal(smooth(units, 25), units)
    many = np.random.default_rng(0).uniform(0, 5, (20, COUNT)).astype(np.float32)
    np.testing.assert_array_equal(smooth(many, 10), many)
    np.testing.assert_array_equal(smooth(many, 25, seconds=0), many)
    with pytest.raises(OptionError, match="rate above 0"):
        smooth(many, 0)


def test_an_animated_heads_weights_become_units():
    names = [
        "AU12_smile",
        "AU12_grin_teeth",
        "AU18_pucker",
        "AU24_press",
        "AU26_jaw_open",
        "AU45_blink_left",
        "AU45_blink_right",
    ]
    weights = np.array([[0.2, 0.3, 1.0, 0.4, 0.6, 1.0, 0.0], [0.8, 0.9, 0, 0, 0, 1, 1]], np.float32)
    units = units_of_weights(weights, names)
    assert units.shape == (2, COUNT)
    np.testing.assert_allclose(units[:, ActionUnit.AU12], (2.5, 5.0), rtol=1e-6)
    np.testing.assert_allclose(units[:, ActionUnit.AU45], (2.5, 5.0), rtol=1e-6)
    np.testing.assert_allclose(units[0, [ActionUnit.AU23, ActionUnit.AU26]], (2.0, 3.0), rtol=1e-6)
    # Both the jaw and the grin part the lips.
    np.testing.assert_allclose(units[:, ActionUnit.AU25], (5.0, 5 * 0.45 * 0.9), rtol=1e-6)
    assert units[:, [ActionUnit.AU14, ActionUnit.AU01]].max() == 0
