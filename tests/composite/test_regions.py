"""Made regions laid into a picture."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.composite.regions import lay_regions
from understudy.errors import OptionError
from understudy.faces.align import CropTransform

SIDE = 32
UPRIGHT = CropTransform.from_params(60.0, 50.0, 64.0, 0.0)  # a crop of 64 plate pixels at x 28-92, y 18-82


def plate() -> np.ndarray:
    return np.random.default_rng(0).random((100, 120, 3)).astype(np.float32)


def middle(low: int = 12, high: int = 20) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[low:high, low:high] = 1
    return mask


def whole(view: np.ndarray, patch) -> np.ndarray:
    x0, y0, x1, y1 = patch.box
    result = view.copy()
    result[y0:y1, x0:x1] = patch.view
    return result


@pytest.mark.parametrize("blend", ["gaussian", "laplacian"])
def test_outside_the_mask_the_picture_keeps_its_bits(blend: str) -> None:
    view = plate()
    view[0, 0] = -0.5
    patch = lay_regions(view, np.zeros((SIDE, SIDE, 3), np.float32), UPRIGHT, middle(), blend=blend)  # type: ignore[arg-type]
    result = whole(view, patch)
    x0, y0, x1, y1 = patch.box
    assert np.array_equal(result[y0:y1, x0:x1][patch.matte == 0], view[y0:y1, x0:x1][patch.matte == 0])
    outside = np.ones(view.shape[:2], bool)
    outside[y0:y1, x0:x1] = False
    assert np.array_equal(result[outside], view[outside])
    assert np.array_equal(result[:18], view[:18])


def test_replaced_is_composited_over_by_the_mask() -> None:
    view, edited = plate(), np.full((SIDE, SIDE, 3), 0.25, np.float32)
    result = whole(view, lay_regions(view, edited, UPRIGHT, middle()))
    # Well inside the mask nothing of the picture is left, neither coarse nor fine.
    np.testing.assert_allclose(result[46:54, 56:64], 0.25, atol=0.03)


def test_kept_detail_gets_only_what_the_edit_changes() -> None:
    view = 0.25 + 0.5 * plate()
    unedited = np.full((SIDE, SIDE, 3), 0.4, np.float32)
    result = whole(view, lay_regions(view, unedited + 0.1, UPRIGHT, middle(), unedited=unedited))
    np.testing.assert_allclose((result - view)[46:54, 56:64], 0.1, atol=0.01)
    same = lay_regions(view, unedited, UPRIGHT, middle(), unedited=unedited)
    np.testing.assert_allclose(whole(view, same), view, atol=1e-6)


def test_where_the_shape_changes_detail_goes() -> None:
    view, unedited = plate(), np.full((SIDE, SIDE, 3), 0.4, np.float32)
    edited = np.full((SIDE, SIDE, 3), 0.6, np.float32)
    replaced = np.zeros((SIDE, SIDE), np.float32)
    replaced[:, :16] = 1
    result = whole(view, lay_regions(view, edited, UPRIGHT, middle(8, 24), unedited=unedited, replaced=replaced))
    np.testing.assert_allclose(result[42:58, 48:56], 0.6, atol=0.03)
    np.testing.assert_allclose((result - view)[42:58, 64:72], 0.2, atol=0.02)


def test_values_beyond_white_stay_beyond() -> None:
    view = np.full((100, 120, 3), 3.0, np.float32)
    unedited = np.full((SIDE, SIDE, 3), 0.5, np.float32)
    result = whole(view, lay_regions(view, unedited - 0.2, UPRIGHT, middle(), unedited=unedited))
    np.testing.assert_allclose(result[48:52, 58:62], 2.8, atol=0.02)


def test_bands_hide_a_step_in_light_and_leave_the_inside() -> None:
    view, edited = np.full((300, 300, 3), 0.3, np.float32), np.full((128, 128, 3), 0.7, np.float32)
    mask = np.zeros((128, 128), np.float32)
    mask[40:88, 40:88] = 1
    large = CropTransform.from_params(150.0, 150.0, 256.0, 0.0)
    hard, soft = (
        whole(view, lay_regions(view, edited, large, mask, blend=blend))  # type: ignore[arg-type]
        for blend in ("gaussian", "laplacian")
    )
    steps = [np.abs(np.diff(result[150, :, 0])).max() for result in (hard, soft)]
    assert steps[1] < 0.7 * steps[0]
    np.testing.assert_allclose(soft[140:160, 140:160], 0.7, atol=0.01)


def test_nothing_and_nonsense() -> None:
    view, edited = plate(), np.zeros((SIDE, SIDE, 3), np.float32)
    assert lay_regions(view, edited, UPRIGHT, np.zeros((SIDE, SIDE), np.float32)).box == (0, 0, 0, 0)
    with pytest.raises(OptionError, match="of one size"):
        lay_regions(view, edited, UPRIGHT, np.zeros((16, 16), np.float32))
    with pytest.raises(OptionError, match="gaussian or laplacian"):
        lay_regions(view, edited, UPRIGHT, middle(), blend="hard")  # type: ignore[arg-type]
