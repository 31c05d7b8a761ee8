"""An animated head back into its still: exact where nothing moves, sharp where it does, no seam at the window's border."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from understudy.composite.head import HeadWindow, head_box
from understudy.composite.motion import warp_by_motion
from understudy.errors import FaceError
from understudy.faces.align import CropTransform
from understudy.perform.animate import AnimatedCrop

SIZE = 32


def picture(width=300, height=260, seed=0):
    """(height, width, 3) float32 with detail at all scales, beyond [0, 1] here and there."""
    random = np.random.default_rng(seed)
    view = np.zeros((height, width, 3), np.float32)
    for side in (4, 16, 64, 256):
        view += cv2.resize(
            random.random((side, side, 3)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
        )
    view = view / 3 - 0.1
    view[100, 100] = 40.0
    return view


def moved(crop, motion, bias=0.0):
    """A network that moves the crop and adds ``bias``."""
    return AnimatedCrop(crop=np.clip(warp_by_motion(crop, motion) + bias, 0, 1), motion=motion)


def still_motion():
    return np.zeros((SIZE, SIZE, 2), np.float32)


def bump(x=0.0, y=0.05):
    ramp = np.sin((np.arange(SIZE) + 0.5) / SIZE * np.pi).astype(np.float32) ** 2
    return np.stack([x * np.outer(ramp, ramp), y * np.outer(ramp, ramp)], axis=-1)


def window_of(view, transform, **options):
    box = head_box(transform, (view.shape[1], view.shape[0]))
    x0, y0, x1, y1 = box
    return HeadWindow(view[y0:y1, x0:x1], box, transform, SIZE, **options)


@pytest.fixture
def upright():
    return CropTransform.from_params(150, 130, 160, 0.0)


def test_asked_for_nothing_every_bit_stays_whatever_the_network_does(upright):
    view = picture()
    window = window_of(view, upright)
    without = AnimatedCrop(crop=np.clip(window.crop * 0.8 + 0.1, 0, 1), motion=still_motion())
    drift = AnimatedCrop(crop=np.clip(window.crop * 0.7 + 0.1, 0, 1), motion=bump(0.01, 0.01))
    window.set_rest(without, drift)
    for answer, strength in ((without, 0.0), (drift, 1.0)):
        patch = window.lay_in(answer, strength)
        np.testing.assert_allclose(patch.view, crop_of(view, patch), atol=1e-6)
    assert not window.lay_in(without, 0.0).where.any()


def crop_of(view, patch):
    x0, y0, x1, y1 = patch.box
    return view[y0:y1, x0:x1]


@pytest.mark.parametrize("method", ["multiscale", "vanilla"])
def test_the_stills_own_detail_moves_along(upright, method):
    """Against moving the still itself at full size: nothing is lost to the network's 32 pixels."""
    view = picture()
    window = window_of(view, upright, method=method, margin=0.02)
    motion = bump(0.02, 0.03)
    patch = window.lay_in(moved(window.crop, motion))
    expected = warp_by_motion(crop_of(view, patch), motion)
    middle = np.s_[40:120, 40:120]
    before = crop_of(view, patch)[middle]
    error = np.abs(patch.view[middle] - expected[middle]).mean()
    assert error < 0.15 * np.abs(before - expected[middle]).mean()

    def detail(x):
        return np.abs(x - cv2.GaussianBlur(x, (0, 0), 1.5)).mean()

    assert detail(patch.view[middle]) > 0.85 * detail(expected[middle])


def test_values_beyond_white_and_black_move_too(upright):
    view = picture()
    window = window_of(view, upright)
    shift = still_motion()
    shift[..., 1] = 10 / 160  # whole pixels
    patch = window.lay_in(moved(window.crop, shift))
    x0, y0, _, _ = patch.box
    assert patch.view[90 - y0, 100 - x0].min() > 20
    assert crop_of(view, patch).min() < -0.02 and patch.view.min() < -0.02


def test_motion_fades_to_nothing_inside_the_window(upright):
    view = picture()
    window = window_of(view, upright, margin=0.15)
    shift = np.full((SIZE, SIZE, 2), 0.03, np.float32)
    patch = window.lay_in(moved(window.crop, shift, bias=0.05))
    changed = patch.where
    assert changed[40:120, 40:120].mean() > 0.95
    assert not changed[:2].any() and not changed[-2:].any() and not changed[:, :2].any() and not changed[:, -2:].any()
    # No step: the change grows from the border in small steps.
    flat = np.full_like(view, 0.5)
    window = window_of(flat, upright, margin=0.15)
    change = window.lay_in(moved(window.crop, still_motion(), bias=0.2)).view[80, :, 0] - 0.5
    assert change[80] > 0.19 and np.abs(np.diff(change)).max() < 0.03


def test_a_tilted_head_moves_in_its_own_frame_and_the_still_is_not_resampled():
    view = picture()
    tilted = CropTransform.from_params(150, 130, 140, math.radians(30))
    window = window_of(view, tilted)
    shift = np.zeros((SIZE, SIZE, 2), np.float32)
    shift[..., 0] = 0.05  # along the crop's own x: 7 pixels, turned by 30 degrees
    patch = window.lay_in(moved(window.crop, shift))
    x0, y0, _, _ = patch.box
    columns, rows = np.meshgrid(np.arange(130, 171), np.arange(110, 151))
    dx, dy = 7 * math.cos(math.radians(30)), 7 * math.sin(math.radians(30))
    expected = cv2.remap(
        view, (columns + dx).astype(np.float32), (rows + dy).astype(np.float32), cv2.INTER_LINEAR
    )  # fmt: skip
    found = patch.view[110 - y0 : 151 - y0, 130 - x0 : 171 - x0]
    unmoved = np.abs(view[110:151, 130:171] - expected).mean()
    assert np.abs(found - expected).mean() < 0.15 * unmoved
    corner = patch.where[:8, :8]
    assert not corner.any(), "the bounding box's corners lie outside the crop"


def test_a_head_at_the_border_is_cut_there_and_the_network_sees_the_edge_repeated():
    view = picture()
    transform = CropTransform.from_params(40, 130, 160, 0.0)
    window = window_of(view, transform)
    assert window.box == (0, 50, 120, 210)
    assert np.isfinite(window.crop).all() and window.crop.shape == (SIZE, SIZE, 3)
    np.testing.assert_allclose(window.crop[:, 0], window.crop[:, 3], atol=0.02)
    motion = bump(0.0, 0.05)
    patch = window.lay_in(moved(window.crop, motion))
    assert patch.where[:, 0].any(), "at the picture's own border nothing needs to fade"
    assert not patch.where[:, -2:].any()


def test_a_head_smaller_than_the_networks_picture():
    view = picture()
    window = window_of(view, CropTransform.from_params(60, 60, 20, 0.0))
    patch = window.lay_in(moved(window.crop, bump(0.0, 0.1)))
    assert patch.view.shape == (20, 20, 3) and patch.where.any()


def test_outside_the_picture_is_a_sentence():
    with pytest.raises(FaceError, match="outside the picture"):
        head_box(CropTransform.from_params(-300, 60, 100, 0.0), (300, 260))


def test_the_network_adds_where_it_has_something_to_add(upright):
    """Teeth: not in the still, so they come from the network, at its own sharpness."""
    view = np.full((260, 300, 3), 0.3, np.float32)
    window = window_of(view, upright)
    crop = window.crop.copy()
    crop[18:22, 12:20] = 0.9
    patch = window.lay_in(AnimatedCrop(crop=crop, motion=still_motion()))
    assert patch.view[100, 80].min() > 0.85
    assert not patch.where[20].any()


def test_a_family_without_motion_changes_the_still_softly_but_never_softens_it(upright):
    view = picture()
    window = window_of(view, upright)
    patch = window.lay_in(AnimatedCrop(crop=np.clip(window.crop + 0.1, 0, 1)))
    before = crop_of(view, patch)[60:100, 60:100]
    after = patch.view[60:100, 60:100]
    assert np.abs((after - before) - 0.1).mean() < 0.02


def test_a_family_may_say_where_it_changed_anything(upright):
    view = picture()
    window = window_of(view, upright)
    matte = np.zeros((SIZE, SIZE), np.float32)
    matte[16:] = 1.0
    answer = moved(window.crop, bump(), bias=0.05)
    patch = window.lay_in(AnimatedCrop(crop=answer.crop, motion=answer.motion, matte=matte))
    assert not patch.where[:60].any() and patch.where[90:140].any()


def test_alpha_moves_with_the_head(upright):
    view = np.concatenate([picture(), np.ones((260, 300, 1), np.float32)], axis=2)
    view[130:, :, 3] = 0.0
    window = window_of(view, upright)
    shift = np.zeros((SIZE, SIZE, 2), np.float32)
    shift[..., 1] = 8 / 160
    patch = window.lay_in(moved(window.crop, shift))
    x0, y0, _, _ = patch.box
    column = patch.view[:, 150 - x0, 3]
    assert column[121 - y0] == 1 and column[123 - y0] == 0


@pytest.mark.parametrize("method", ["bilinear", "bicubic", "nearest"])
def test_merely_enlarged_answers_still_leave_no_seam(upright, method):
    view = picture()
    patch = window_of(view, upright, method=method).lay_in(AnimatedCrop(crop=np.full((SIZE, SIZE, 3), 0.5, np.float32)))
    assert not patch.where[0].any() and not patch.where[:, 0].any() and patch.where[80, 80]


def test_a_replaced_window_shows_the_answer_alone_and_begins_with_the_still(upright):
    """Without motion a head in another place lies over the still, instead of being added to it."""
    view = picture()
    window = window_of(view, upright, replace=True)
    rest = AnimatedCrop(crop=np.clip(window.crop * 0.8, 0, 1))
    window.set_rest(AnimatedCrop(crop=window.crop), rest)
    answer = AnimatedCrop(crop=np.full((SIZE, SIZE, 3), 0.6, np.float32))
    whole = window.lay_in(answer, 1.0)
    np.testing.assert_allclose(whole.view[60:100, 60:100], 0.6, atol=1e-4)
    assert not whole.where[0].any() and not whole.where[:, 0].any()
    before = crop_of(view, whole)
    begun = window.lay_in(rest, 0.0)
    np.testing.assert_allclose(begun.view, before, atol=1e-5)
    half = window.lay_in(answer, 0.5).view[60:100, 60:100]
    there = window.lay_in(rest, 1.0).view[60:100, 60:100]  # the network's own still, enlarged
    expected = before[60:100, 60:100] + (0.6 - 0.5 * there - 0.5 * before[60:100, 60:100])
    np.testing.assert_allclose(half, expected, atol=1e-4)


def test_a_replaced_window_keeps_to_the_familys_matte_and_leaves_alpha(upright):
    view = np.concatenate([picture(), np.ones((260, 300, 1), np.float32)], axis=2)
    view[130:, :, 3] = 0.5
    window = window_of(view, upright, replace=True)
    matte = np.zeros((SIZE, SIZE), np.float32)
    matte[16:] = 1.0
    patch = window.lay_in(AnimatedCrop(crop=np.full((SIZE, SIZE, 3), 0.6, np.float32), matte=matte))
    assert not patch.where[:60].any() and patch.where[90:140].any()
    np.testing.assert_array_equal(patch.view[..., 3], crop_of(view, patch)[..., 3])
    moved = window.lay_in(AnimatedCrop(crop=window.crop, motion=bump()))
    assert moved.where.any(), "a family with motion moves the still's own pixels as ever"
