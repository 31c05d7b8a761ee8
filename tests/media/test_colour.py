from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.media.colour import ColourSpace, decode_srgb, encode_srgb, from_view, to_view


@pytest.mark.parametrize(
    ("linear", "encoded"), [(0.0, 0.0), (1.0, 1.0), (0.18, 0.46135613), (0.001, 0.01292), (0.5, 0.7353569)]
)
def test_known_values(linear: float, encoded: float) -> None:
    assert encode_srgb(np.float32(linear)) == pytest.approx(encoded, abs=2e-7)
    assert decode_srgb(np.float32(encoded)) == pytest.approx(linear, abs=2e-7)


@given(st.floats(-60000, 60000, width=32))
def test_inverse_to_float_precision(value: float) -> None:
    there = encode_srgb(np.float32(value))
    assert decode_srgb(there) == pytest.approx(np.float32(value), rel=2e-6, abs=1e-30)


def test_every_finite_half_comes_back_exactly() -> None:
    halves = np.arange(65536, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)]
    back = decode_srgb(encode_srgb(halves.astype(np.float32))).astype(np.float16)
    assert np.array_equal(back.view(np.uint16), halves.view(np.uint16))


def test_odd_and_rising() -> None:
    values = np.linspace(-4, 4, 20001, dtype=np.float32)
    encoded = encode_srgb(values)
    assert np.array_equal(encoded, -encode_srgb(-values))
    assert (np.diff(encoded) > 0).all()


def test_display_is_left_alone() -> None:
    values = np.array([-0.5, 0.3, 2.0], np.float32)
    assert np.array_equal(to_view(values, ColourSpace.DISPLAY), values)
    assert np.array_equal(from_view(values, ColourSpace.DISPLAY), values)
    assert from_view(to_view(values, ColourSpace.LINEAR), ColourSpace.LINEAR) == pytest.approx(values, rel=1e-6)
