"""Pictures with region maps, and the training crops that come from them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.dataset import region_disguises as disguises
from understudy.dataset.region_augment import CHANCES, RegionAugment, augmented, cut, mistaken
from understudy.dataset.region_pictures import RegionPictures
from understudy.errors import DatasetError
from understudy.faces.align import canonical_transform, mean_mesh
from understudy.faces.parse import polygon_mask, region_guide
from understudy.faces.regions import Region
from understudy.faces.topology import FACE_OVAL, LIPS_OUTER

NONE = RegionAugment(
    zoom=0.0, shift=0.0, rotation=0.0, squeeze=0.0, bend=0.0, disguise=0.0, light=0.0, camera=0.0, mesh=0.0
)


def drawn_face(side: int = 160) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture, its regions and its mesh: hair around an oval of skin with lips."""
    points = mean_mesh() * (0.5 * side) + (side / 2, side / 2, 0)
    regions = np.zeros((side, side), np.uint8)
    cv2.circle(regions, (side // 2, side // 2 - side // 10), round(0.33 * side), int(Region.HAIR), -1)
    regions[polygon_mask(points[FACE_OVAL, :2], side) > 0.5] = Region.SKIN
    regions[polygon_mask(points[LIPS_OUTER, :2], side) > 0.5] = Region.LIPS
    colours = np.zeros((12, 3), np.uint8)
    colours[[Region.HAIR, Region.SKIN, Region.LIPS]] = (60, 40, 20), (220, 180, 150), (190, 90, 90)
    return colours[regions], regions, points.astype(np.float32)


def make_folder(folder: Path, *, count: int = 9, landmarks: bool = True) -> Path:
    picture, regions, points = drawn_face()
    for part in ("pictures", "regions"):
        (folder / part).mkdir(parents=True)
    names = [f"{number // 3}_{number:02d}" for number in range(count)]
    for name in names:
        cv2.imwrite(str(folder / "pictures" / f"{name}.png"), picture[..., ::-1])
        cv2.imwrite(str(folder / "regions" / f"{name}.png"), regions)
    if landmarks:
        np.savez(folder / "landmarks.npz", names=np.array(names), points=np.stack([points] * count))
    return folder


def test_a_batch_depends_on_its_step_alone(tmp_path):
    pictures = RegionPictures(make_folder(tmp_path), seed=3)
    assert len(pictures) == 9 and pictures.people == ["0", "1", "2"]
    first, again = (pictures.batch(5, each=3, size=64)[0] for _ in range(2))
    other = pictures.batch(6, each=3, size=64)[0]
    assert (first.inputs == again.inputs).all() and (first.targets == again.targets).all()
    assert (first.inputs != other.inputs).any()
    assert first.inputs.shape == (3, 9, 64, 64) and first.targets.shape == first.weights.shape == (3, 1, 64, 64)
    assert float(first.inputs.min()) >= 0 and float(first.inputs.max()) <= 1
    assert set(first.targets.unique().tolist()) <= set(range(12))


def test_without_changes_the_crop_is_the_picture_and_its_mesh_fits():
    picture, regions, points = drawn_face()
    numbers = np.random.default_rng(0)
    crop = augmented(picture, regions, points, size=128, oval_share=0.5, settings=NONE, numbers=numbers)
    plain = cut(picture, regions, points, canonical_transform(points, oval_share=0.5), 128)
    np.testing.assert_array_equal(crop.picture, plain.picture)
    np.testing.assert_array_equal(crop.regions, plain.regions)
    # The regions were drawn from the mesh: the crop's own mesh must cover them again.
    face = region_guide(crop.points, 128)[0] > 127
    shown = np.isin(crop.regions, (Region.SKIN, Region.LIPS))
    assert (face & shown).sum() / (face | shown).sum() > 0.95


def test_moved_and_bent_crops_keep_mesh_and_regions_together():
    picture, regions, points = drawn_face()
    settings = RegionAugment(disguise=0.0, light=0.0, camera=0.0, bend=0.02)
    shares = []
    for seed in range(12):
        numbers = np.random.default_rng(seed)
        crop = augmented(picture, regions, points, size=128, oval_share=0.4, settings=settings, numbers=numbers)
        face = region_guide(crop.points, 128)[0] > 127
        shown = np.isin(crop.regions, (Region.SKIN, Region.LIPS))
        shares.append((face & shown & crop.known).sum() / ((face | shown) & crop.known).sum())
    assert min(shares) > 0.88


def test_outside_the_picture_nothing_is_known():
    picture, regions, points = drawn_face()
    crop = cut(picture, regions, points, canonical_transform(points, oval_share=0.25), 128)
    # The picture is half as wide as this crop, which reaches as far on every side.
    assert crop.known.mean() == pytest.approx(0.25, abs=0.02)
    assert not crop.regions[~crop.known].any()


def test_another_place_is_known_everywhere():
    picture, regions, points = drawn_face()
    settings = RegionAugment(light=0.0, camera=0.0)
    seen = set()
    for seed in range(30):
        numbers = np.random.default_rng(seed)
        crop = augmented(picture, regions, points, size=64, oval_share=0.25, settings=settings, numbers=numbers)
        seen.add(bool(crop.known.all()))
    assert seen == {True, False}


@pytest.mark.parametrize("disguise", CHANCES, ids=lambda disguise: disguise.__name__)
def test_disguises_change_pictures_and_tell_the_regions(disguise):
    picture, regions, points = drawn_face()
    if disguise is disguises.shave:  # it leaves long hair alone
        regions[90:][regions[90:] == Region.HAIR] = Region.BACKGROUND
    numbers = np.random.default_rng(1)
    changed, told = picture.copy(), regions.copy()
    arguments = (changed, told) if disguise is disguises.repaint else (changed, told, points[:, :2])
    disguise(*arguments, numbers)
    assert (changed != picture).any() and set(np.unique(told)) <= set(range(12))
    if disguise in (disguises.repaint, disguises.beard, disguises.new_place):
        np.testing.assert_array_equal(told, regions)
    if disguise is disguises.glasses:
        assert (told == Region.GLASSES).sum() > 50
    if disguise in (disguises.grow_hair, disguises.strands_across):
        assert (told == Region.HAIR).sum() > (regions == Region.HAIR).sum()
    if disguise is disguises.shave:
        assert not (told == Region.HAIR).any()
    if disguise in (disguises.hat, disguises.occluder):
        assert (told == Region.BACKGROUND).sum() > (regions == Region.BACKGROUND).sum()


def test_a_mistaken_mesh_is_as_wrong_as_it_is_told_to_be():
    points = drawn_face()[2][:, :2]
    wrong = [mistaken(points, RegionAugment(mesh=0.02), np.random.default_rng(seed)) - points for seed in range(20)]
    height = np.linalg.norm(points[10] - points[152])
    assert 0.005 < np.sqrt(np.mean(np.square(wrong))) / height < 0.02
    np.testing.assert_array_equal(mistaken(points, NONE, np.random.default_rng(0)), points)


def test_landmarks_are_measured_once_and_kept(tmp_path):
    folder = make_folder(tmp_path, count=10, landmarks=False)
    points, calls = drawn_face()[2], []

    def find(picture):
        calls.append(picture.shape)
        return points if len(calls) > 1 else None  # nobody is found in the first

    assert len(RegionPictures(folder, find=find)) == 9
    assert len(calls) == 10
    assert len(RegionPictures(folder, find=find)) == 9
    assert len(calls) == 10


def test_pictures_twice_as_large_as_their_maps_are_read_at_the_maps_size(tmp_path):
    folder = make_folder(tmp_path)
    picture, regions, points = drawn_face()
    cv2.imwrite(str(folder / "pictures" / "0_00.png"), np.repeat(np.repeat(picture, 2, 0), 2, 1)[..., ::-1])
    names = sorted(path.stem for path in (folder / "pictures").iterdir())
    np.savez(folder / "landmarks.npz", names=np.array(names), points=np.stack([points * 2, *[points] * 8]))
    rgb, labels, mesh = RegionPictures(folder, budget=0).read(0)
    np.testing.assert_array_equal(rgb, picture)
    np.testing.assert_array_equal(labels, regions)
    np.testing.assert_allclose(mesh, points)


def test_wrong_folders_are_named(tmp_path):
    with pytest.raises(DatasetError, match="should hold the folders pictures and regions"):
        RegionPictures(tmp_path)
    folder = make_folder(tmp_path / "a")
    cv2.imwrite(str(folder / "regions" / "0_00.png"), np.full((160, 160), 12, np.uint8))
    with pytest.raises(DatasetError, match="holds the id 12"):
        RegionPictures(folder).read(0)
    cv2.imwrite(str(folder / "regions" / "0_00.png"), np.zeros((80, 160), np.uint8))
    with pytest.raises(DatasetError, match="160 x 80 pixels and its picture 160 x 160"):
        RegionPictures(folder).read(0)
    cv2.imwrite(str(folder / "regions" / "0_00.png"), np.zeros((160, 160, 3), np.uint8))
    with pytest.raises(DatasetError, match="no 8-bit gray picture"):
        RegionPictures(folder).read(0)
    (folder / "regions" / "0_01.png").unlink()
    with pytest.raises(DatasetError, match="has no region map"):
        RegionPictures(folder)
    with pytest.raises(DatasetError, match="at least 8 are needed"):
        RegionPictures(make_folder(tmp_path / "b", count=4))
