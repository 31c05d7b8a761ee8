"""Shape and texture put together by hand-drawn maps, and a small network at work."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from understudy import families
from understudy.checkpoint import ModelCard, save_checkpoint
from understudy.errors import CheckpointError, OptionError
from understudy.faces.regions import Region
from understudy.families.regional_inversion.inversion_training import InversionNetwork, InversionTrainable
from understudy.families.regional_inversion.losses import InversionLosses
from understudy.families.regional_inversion.perform import RegionalPerformer
from understudy.families.regional_inversion.recompose import (
    Recomposed,
    between,
    dilated,
    eroded,
    everything,
    foreground,
    join_faces,
    parse_strengths,
    present,
    soft_edge,
    swap_regions,
    swap_textures,
)
from understudy.families.regional_inversion.settings import RegionalSettings
from understudy.family import FaceParts

R = Region
TINY = RegionalSettings(
    size=32,
    widest=8,
    channel_base=256,
    latent=8,
    mapping_layers=2,
    regional_layers=6,
    encoder_size=32,
    encoder_widths=(4, 4, 8, 8, 8),
    encoder_blocks=(1, 1, 1, 1),
    pooling="area",
)


def row(*labels: int) -> np.ndarray:
    """A map of one row, which says all that an order can."""
    return np.array([labels], np.uint8)


# -- shapes --------------------------------------------------------------------------------------------------------------------


def test_the_papers_order_by_hand() -> None:
    """Target's background and neck, the driven inner face, the target's hair, glasses and ears on top, skin in the holes."""
    target = row(R.BACKGROUND, R.HAIR, R.HAIR, R.SKIN, R.GLASSES, R.EARS, R.NECK, R.SKIN, R.BACKGROUND)
    driven = row(R.SKIN, R.SKIN, R.HAIR, R.EYES, R.EYES, R.SKIN, R.SKIN, R.BACKGROUND, R.BACKGROUND)
    swapped = swap_regions(target, driven, everything())
    wanted = row(R.SKIN, R.HAIR, R.HAIR, R.EYES, R.GLASSES, R.EARS, R.SKIN, R.SKIN, R.BACKGROUND)
    np.testing.assert_array_equal(swapped.regions, wanted)
    np.testing.assert_array_equal(swapped.holes[0], [False] * 7 + [True, False])


def test_the_codes_order_by_hand() -> None:
    """The inner face lies over the target's hair and ears, and never over its background."""
    target = row(R.BACKGROUND, R.HAIR, R.HAIR, R.SKIN, R.GLASSES, R.EARS, R.NECK, R.SKIN, R.BACKGROUND)
    driven = row(R.SKIN, R.SKIN, R.HAIR, R.EYES, R.EYES, R.SKIN, R.SKIN, R.BACKGROUND, R.BACKGROUND)
    swapped = swap_regions(target, driven, everything(), order="code")
    wanted = row(R.BACKGROUND, R.SKIN, R.HAIR, R.EYES, R.GLASSES, R.SKIN, R.SKIN, R.SKIN, R.BACKGROUND)
    np.testing.assert_array_equal(swapped.regions, wanted)
    np.testing.assert_array_equal(swapped.holes[0], [False] * 7 + [True, False])


def test_a_region_that_is_not_asked_for_stays_the_targets() -> None:
    target = row(R.SKIN, R.EYES, R.EYES, R.SKIN, R.LIPS)
    driven = row(R.SKIN, R.SKIN, R.EYES, R.EYES, R.SKIN)
    np.testing.assert_array_equal(
        swap_regions(target, driven, {R.EYES: 1.0}).regions, row(R.SKIN, R.SKIN, R.EYES, R.EYES, R.LIPS)
    )
    np.testing.assert_array_equal(swap_regions(target, driven, {R.HAIR: 1.0}).regions, target)
    np.testing.assert_array_equal(
        swap_regions(target, driven, {R.SKIN: 1.0}).regions, row(R.SKIN, R.EYES, R.EYES, R.SKIN, R.LIPS)
    )


def test_a_face_onto_itself_is_itself() -> None:
    numbers = np.random.default_rng(0)
    regions = numbers.integers(0, 12, (20, 20)).astype(np.uint8)
    for order in ("paper", "code"):
        swapped = swap_regions(regions, regions, everything(), order=order)
        np.testing.assert_array_equal(swapped.regions, regions)
        assert not swapped.holes.any()


def test_a_shape_half_way() -> None:
    first, second = np.zeros((21, 41), bool), np.zeros((21, 41), bool)
    first[5:16, 5:15], second[8:13, 21:31] = True, True
    middle = between(first, second, 0.5)
    rows, columns = np.flatnonzero(middle.any(1)), np.flatnonzero(middle.any(0))
    # In the middle of both, though they do not touch; as high as both on average.
    assert (columns[0], columns[-1]) == (13, 22)
    assert (rows[0], rows[-1]) in ((6, 14), (7, 13))
    assert between(first, second, 0.0) is first
    nothing = np.zeros_like(first)
    assert between(first, nothing, 0.4) is first
    assert between(first, nothing, 0.6) is nothing


def test_maps_of_unlike_size_are_refused() -> None:
    with pytest.raises(OptionError, match="of one size"):
        swap_regions(row(0, 1), row(0), everything())


def test_where_a_swapped_face_is_laid_in() -> None:
    regions = np.full((64, 64), R.BACKGROUND, np.uint8)
    regions[20:40, 20:40] = R.SKIN
    regions[20:24, 20:40] = R.HAIR
    holes = np.zeros((64, 64), bool)
    holes[50, 50] = True
    chosen = foreground(Recomposed(regions=regions, holes=holes), radius=0)
    assert chosen.sum() == 16 * 20 + 1
    assert foreground(Recomposed(regions=regions, holes=holes), strengths={R.HAIR: 1.0}, radius=0).sum() == 4 * 20 + 1
    grown = foreground(Recomposed(regions=regions, holes=holes & False), radius=3)
    assert grown[43 - 1, 30] and not grown[43, 30]


def test_discs_grow_and_shrink() -> None:
    mask = np.zeros((21, 21), bool)
    mask[10, 10] = True
    grown = dilated(mask, 3)
    assert grown[10, 13] and grown[12, 12] and not grown[13, 13]
    np.testing.assert_array_equal(eroded(grown, 3) & mask, mask)
    assert eroded(np.ones((5, 5), bool), 2).all(), "the picture's edge is no edge of the mask"


def test_the_soft_edge_lies_inside() -> None:
    mask = np.zeros((512, 512), bool)
    mask[128:384, 128:384] = True
    alpha = soft_edge(mask, 1024)
    assert alpha[512, 512] == pytest.approx(1)
    # Shrunk by 5 pixels, then blurred: a half at the shrunk edge, next to nothing at the old one.
    assert alpha[512, 261] == pytest.approx(0.5, abs=0.15)
    assert alpha[512, 254] < 0.01


def test_an_enlarged_edge_has_no_steps() -> None:
    """A disc's edge, eight times as large, wanders from the circle by less than half of a crop's pixel."""
    y, x = np.mgrid[:64, :64] + 0.5
    alpha = soft_edge(np.hypot(x - 32, y - 32) < 22, 64)
    large = cv2.resize(alpha, (512, 512), interpolation=cv2.INTER_LINEAR) >= 0.5
    edge = large & ~(cv2.erode(large.astype(np.uint8), np.ones((3, 3))) > 0)
    y, x = np.nonzero(edge)
    radii = np.hypot(x + 0.5 - 256, y + 0.5 - 256) / 8
    assert np.ptp(radii) < 0.55 and 20.5 < radii.mean() < 22


def test_two_faces_are_joined() -> None:
    regions = np.full((64, 64), R.SKIN, np.uint8)
    regions[:20], regions[40:], regions[24:30, 20:40] = R.HAIR, R.NECK, R.EYES
    shown = present(regions)
    target = FaceParts(regions=regions, values=np.zeros((12, 2), np.float32), shown=shown)
    driven = FaceParts(regions=regions, values=np.ones((12, 2), np.float32), shown=shown)
    still, footage = (join_faces(target, driven, moving=moving, side=64) for moving in (False, True))
    assert still.values[R.SKIN, 0] == still.values[R.NECK, 0] == 1 and still.values[R.HAIR, 0] == 0
    assert still.matte[35, 32] == footage.matte[35, 32] == 1 and still.matte[5, 32] == 0
    assert still.matte[60, 32] == 1 and footage.matte[60, 32] == 0, "in footage the neck stays the plate's"
    eyes = join_faces(target, driven, regions=["eyes"], side=64)
    assert eyes.matte[27, 30] > 0.5 and eyes.matte[35, 50] == 0
    with pytest.raises(OptionError, match="--order other"):
        join_faces(target, driven, order="other", side=64)


def test_our_order_keeps_inside_the_targets_head() -> None:
    target = np.full((64, 64), R.BACKGROUND, np.uint8)
    target[10:48, 20:44], target[10:16, 20:44], target[48:60, 26:38] = R.SKIN, R.HAIR, R.NECK
    target[30:36, 44:47] = R.EARS
    driven = np.full((64, 64), R.BACKGROUND, np.uint8)
    driven[12:52, 16:40] = R.SKIN  # further to the left and lower
    shown = np.ones(12, bool)
    first = FaceParts(regions=target, values=np.zeros((12, 2), np.float32), shown=shown)
    second = FaceParts(regions=driven, values=np.ones((12, 2), np.float32), shown=shown)
    joined = join_faces(first, second, order="inside", side=256)
    assert (joined.regions == R.BACKGROUND).tolist() == (target == R.BACKGROUND).tolist()
    assert (joined.regions[10:16, 20:44] == R.HAIR).all() and (joined.regions[16:48, 20:44] == R.SKIN).all()
    assert (joined.regions[48:52, 26:38] == R.SKIN).all(), "a jaw goes as low as it does"
    at = lambda row, column: joined.matte[4 * row + 2, 4 * column + 2]  # noqa: E731
    assert at(30, 30) > 0.99 and at(50, 32) > 0.5
    assert at(30, 17) == at(33, 45) == at(56, 32) == 0 and at(12, 30) < 0.05
    np.testing.assert_array_equal(joined.strengths, [everything().get(region, 0.0) for region in R])
    paper = join_faces(first, second, order="paper", side=256)
    assert (paper.regions[20:40, 16:20] == R.SKIN).all(), "the paper's may leave it"
    hair = join_faces(first, second, regions=["hair"], order="inside", side=256)
    assert hair.matte[4 * 12, 4 * 30] > 0.5, "a region that is named is laid in"


def test_a_mouth_that_nobody_has_shown_is_lips() -> None:
    closed = np.full((64, 64), R.SKIN, np.uint8)
    closed[40:50, 20:40] = R.LIPS
    opened = closed.copy()
    opened[44:46, 24:36] = R.MOUTH
    target = FaceParts(regions=closed, values=np.zeros((12, 2), np.float32), shown=present(closed))
    # The shape is opened by the plate's landmarks; the texture is read off a picture with the mouth shut.
    driven = FaceParts(regions=opened, values=np.ones((12, 2), np.float32), shown=present(closed))
    assert (join_faces(target, driven, side=64).regions == closed).all()
    shown = FaceParts(regions=opened, values=driven.values, shown=present(opened))
    assert (join_faces(target, shown, side=64).regions == opened).all()


# -- textures ------------------------------------------------------------------------------------------------------------------


def test_textures_are_mixed_where_both_faces_show_the_region() -> None:
    target, driven = np.zeros((12, 2), np.float32), np.ones((12, 2), np.float32)
    has, lacks = np.ones(12, bool), np.ones(12, bool)
    lacks[R.EARS] = False
    mixed = swap_textures(target, driven, {**everything(), R.LIPS: 0.25}, target_has=has, driven_has=lacks)
    assert mixed[R.SKIN, 0] == 1 and mixed[R.LIPS, 0] == 0.25
    assert mixed[R.EARS, 0] == 0, "ears that the driven face does not show stay the target's"
    assert mixed[R.HAIR, 0] == mixed[R.BACKGROUND, 0] == 0
    new = swap_textures(target, driven, {R.MOUTH: 0.25}, target_has=np.zeros(12, bool), driven_has=has)
    assert new[R.MOUTH, 0] == 1


def test_present_regions() -> None:
    assert np.flatnonzero(present(row(0, 6, 6, 11))).tolist() == [0, 6, 11]


def test_strengths_are_read_from_words() -> None:
    assert parse_strengths(["eyes,lips=0.5", " hair "]) == {R.EYES: 1.0, R.LIPS: 0.5, R.HAIR: 1.0}
    with pytest.raises(OptionError, match="--regions chin: the regions are lips"):
        parse_strengths(["chin"])
    with pytest.raises(OptionError, match="between 0 and 1, such as eyes=0.5"):
        parse_strengths(["eyes=2"])


# -- a network at work ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    subject = InversionTrainable(InversionNetwork(TINY), InversionLosses())
    tensors, network = subject.checkpoint()
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, tensors, ModelCard(family="regional_inversion", preset="preview", network=network))
    return path


def face(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    numbers = np.random.default_rng(seed)
    regions = np.zeros((32, 32), np.uint8)
    regions[6:28, 6:26] = R.SKIN
    regions[12:15, 9:23] = R.EYES
    tint = numbers.random((12, 3)).astype(np.float32)
    return tint[regions], regions


def test_faces_are_read_and_made_one_by_one(checkpoint: Path) -> None:
    performer = families.get("regional_inversion").editor(checkpoint, device="cpu")
    assert (performer.size, performer.map_size, performer.oval_share) == (32, 32, 0.5)
    crops, maps = (np.stack(parts) for parts in zip(*[face(seed) for seed in range(3)], strict=True))
    textures = performer.read(crops, maps)
    assert textures.values.shape == (3, 12, 24)
    assert textures.shown[0].tolist() == present(maps[0]).tolist()
    assert not textures.values[0, R.HAIR].any()
    made = performer.make(textures.values, maps)
    assert made.shape == (3, 32, 32, 3) and made.min() >= 0 and made.max() <= 1
    np.testing.assert_array_equal(performer.make(textures.values[1:2], maps[1:2])[0], made[1])
    np.testing.assert_array_equal(performer.read(crops[2:], maps[2:]).values[0], textures.values[2])
    # A region's texture changes the picture about the region alone: the first layers are coarse, the rest is local.
    other = textures.values[:1].copy()
    other[0, R.EYES] += 1
    changed = np.abs(performer.make(other, maps[:1])[0] - made[0]).sum(-1)
    assert changed[12:15, 9:23].mean() > 2 * changed[28:].mean()


def test_fitting_textures_to_a_picture_never_makes_them_worse(checkpoint: Path) -> None:
    performer = RegionalPerformer(checkpoint, device="cpu")
    weights, missing = performer.terms()
    assert weights == {"l2": 1.0, "l1": 1.0, "similarity": 0.3, "features": 0.5} and missing == ()
    crop, regions = face()
    start = performer.read(crop[None], regions[None]).values[0]
    seen = []
    fitted, curve = performer.optimise(
        crop, regions, start, steps=15, rate=0.05, progress=lambda done, total: seen.append((done, total))
    )
    assert len(curve) == 16 and seen[-1] == (15, 15)
    assert min(curve) < 0.97 * curve[0]
    before, after = (np.abs(performer.make(x[None], regions[None])[0] - crop).mean() for x in (start, fitted))
    assert after < before


def test_other_shapes_and_checkpoints_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    performer = RegionalPerformer(checkpoint, device="cpu")
    crop, regions = face()
    with pytest.raises(OptionError, match="takes \\(32, 32, 3\\)"):
        performer.read(crop[None, :16], regions[None])
    with pytest.raises(OptionError, match="holds the id 12"):
        performer.read(crop[None], np.full((1, 32, 32), 12, np.uint8))
    card = ModelCard(family="regional_inversion", preset="p", network={"settings": asdict(TINY), "stage": "parsing"})
    save_checkpoint(tmp_path / "parser.safetensors", {"a": torch.zeros(1)}, card)
    with pytest.raises(CheckpointError, match="is a face parser"):
        RegionalPerformer(tmp_path / "parser.safetensors", device="cpu")
