from __future__ import annotations

import numpy as np
import pytest

from understudy.errors import InternalError, MediaError
from understudy.media.colour import ColourSpace
from understudy.media.frame import Frame, find_colour_channels


def _frame(pixels: np.ndarray, channels: tuple[str, ...] = ("R", "G", "B"), colour=ColourSpace.DISPLAY) -> Frame:
    return Frame(pixels=pixels, original=pixels, channels=channels, colour=colour)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32"])
@pytest.mark.parametrize("colour", list(ColourSpace))
@pytest.mark.parametrize(
    "channels", [("R", "G", "B"), ("B", "G", "R", "A"), ("A", "R", "G", "B", "Z"), ("Y",), ("Y", "A")]
)
def test_all_but_the_chosen_pixels_stay_bit_for_bit(noise, dtype, colour, channels) -> None:
    frame = _frame(noise(dtype, len(channels)), channels, colour)
    where = np.zeros((24, 32), bool)
    where[5:9, 7:20] = np.random.default_rng(1).random((4, 13)) > 0.5
    view = np.full((24, 32, 3), 0.25, np.float32)
    result = frame.with_view(view, where)
    assert result.pixels.dtype == frame.pixels.dtype
    bits = np.dtype(f"u{frame.pixels.dtype.itemsize}")
    same = result.pixels.view(bits) == frame.pixels.view(bits)
    assert same[~where].all()
    untouched = [place for place in range(len(channels)) if place not in frame.colour_channels]
    assert same[..., untouched].all()
    tolerance = {"uint8": 0.5 / 255, "uint16": 0.5 / 65535, "float16": 2e-4, "float32": 1e-6}[dtype] * (
        8 if colour == "linear" else 1
    )
    assert np.abs(result.view()[where] - 0.25).max() <= tolerance
    assert np.array_equal(result.altered, ~same.all(axis=-1))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32"])
@pytest.mark.parametrize("colour", list(ColourSpace))
def test_a_frames_own_view_changes_nothing(noise, dtype, colour) -> None:
    frame = _frame(noise(dtype, 3), colour=colour)
    result = frame.with_view(frame.view(), np.ones((24, 32), bool))
    if dtype == "float32":
        assert result.pixels == pytest.approx(frame.pixels, rel=2e-6)
    else:
        assert np.array_equal(result.pixels, frame.pixels)
        assert not result.altered.any()


def test_floats_keep_what_leaves_the_range() -> None:
    frame = _frame(np.zeros((2, 2, 3), np.float32), colour=ColourSpace.LINEAR)
    view = np.full((2, 2, 3), 3.0, np.float32)
    view[0] = -0.5
    result = frame.with_view(view, np.ones((2, 2), bool))
    assert result.pixels.max() > 10 and result.pixels.min() < 0
    assert result.view() == pytest.approx(view, rel=1e-6)
    clipped = _frame(np.zeros((2, 2, 3), np.uint8)).with_view(view, np.ones((2, 2), bool))
    assert set(np.unique(clipped.pixels)) == {0, 255}


def test_nan_and_infinity_are_counted_and_kept() -> None:
    pixels = np.full((4, 4, 4), 0.5, np.float32)
    pixels[0, 0, 1], pixels[1, 1, 0], pixels[2, 2, 3] = np.nan, np.inf, np.nan  # the last is alpha
    frame = _frame(pixels, ("R", "G", "B", "A"), ColourSpace.LINEAR)
    assert frame.nonfinite == 2
    view = frame.view()
    assert np.isfinite(view).all() and view[0, 0, 1] == 0 and view[1, 1, 0] == 0 and view[0, 0, 0] > 0
    assert np.isnan(frame.rgb()[0, 0, 1])
    where = np.zeros((4, 4), bool)
    where[3] = True
    result = frame.with_view(np.zeros((4, 4, 3), np.float32), where)
    assert np.array_equal(result.altered, where)
    assert np.isnan(result.pixels[0, 0, 1])


def test_a_result_that_is_not_finite_is_a_bug_of_ours() -> None:
    frame = _frame(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(InternalError, match="1 of the new pixels"):
        view = np.zeros((4, 4, 3), np.float32)
        view[1, 1] = np.nan
        frame.with_view(view, np.ones((4, 4), bool))
    with pytest.raises(InternalError, match="do not fit"):
        frame.with_view(np.zeros((3, 4, 3), np.float32), np.ones((4, 4), bool))


def test_gray_is_repeated_and_gets_luma() -> None:
    frame = _frame(np.full((4, 4, 1), 32768, np.uint16), ("Y",))
    assert frame.rgb().shape == (4, 4, 3)
    view = np.zeros((4, 4, 3), np.float32)
    view[..., 1] = 1
    assert frame.with_view(view, np.ones((4, 4), bool)).pixels[0, 0, 0] == round(0.7152 * 65535)


@pytest.mark.parametrize(
    ("channels", "places"),
    [
        (("R", "G", "B"), (0, 1, 2)),
        (("A", "B", "G", "R"), (3, 2, 1)),
        (("Z", "beauty.B", "beauty.G", "beauty.R"), (3, 2, 1)),
        (("beauty.R", "beauty.G", "beauty.B", "R", "G", "B"), (3, 4, 5)),
        (("Y", "A"), (0,)),
        (("depth",), (0,)),
    ],
)
def test_colour_is_found_by_name(channels, places) -> None:
    assert find_colour_channels(channels) == places


def test_no_colour_is_a_sentence() -> None:
    with pytest.raises(MediaError, match="shot.exr has the channels Z, id, u: R, G, B or a gray channel"):
        find_colour_channels(("Z", "id", "u"), "shot.exr")
