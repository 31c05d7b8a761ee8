"""A performer's own fine detail on their generated face."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.composite import carry_detail
from understudy.composite.carry_detail import Detail, carry_details, carry_light, carry_own_detail
from understudy.composite.own_detail import OwnDetail
from understudy.dataset.face_set import FaceSet
from understudy.errors import DatasetError
from understudy.faces.align import mean_mesh
from understudy.faces.face import Pose
from understudy.faces.topology import LIPS_INNER, LIPS_OUTER

SIZE = 64
LIPS = np.concatenate([LIPS_OUTER, LIPS_INNER])
LOWER_LIP = 14


def mesh(opened: float = 0.0, x: float = 0.5, y: float = 0.5) -> np.ndarray:
    """A face in the unit square whose lips are lower by ``opened``."""
    points = 0.6 * mean_mesh()[:, :2] + (x, y)
    points[LIPS, 1] += opened
    return points


def face_set(folder: Path, *pictures: tuple[np.ndarray, np.ndarray]) -> Path:
    """A face set of (picture (64, 64, 3) uint8, mesh in the unit square)."""
    with FaceSet.create(folder, SIZE) as made:
        for number, (picture, points) in enumerate(pictures):
            made.add(
                clip="take",
                number=number,
                track=0,
                picture=picture,
                mask=np.ones((SIZE, SIZE), np.float32),
                landmarks=points * SIZE,
                transform=np.eye(2, 3),
                pose=Pose(yaw=0, pitch=0, roll=0),
                plate_pixels=100.0,
            )
    return folder


def gray(level: int) -> np.ndarray:
    return np.full((SIZE, SIZE, 3), level, np.uint8)


def test_fine_bands_change_places_and_coarse_ones_stay() -> None:
    """At equal brightness the gain is 1 but for the noise in the wide averages, and O = G(F) + N - G(N)."""
    numbers = np.random.default_rng(0)
    face, footage = (0.5 + 0.05 * numbers.standard_normal((2, 48, 48, 3))).astype(np.float32)
    blur = lambda picture: cv2.GaussianBlur(picture, (0, 0), 1.5)  # noqa: E731
    result = carry_own_detail(face, footage, sigma=1.5)
    np.testing.assert_allclose(result, blur(face) + footage - blur(footage), atol=0.012)
    half = carry_own_detail(face, footage, sigma=1.5, strength=0.5)
    np.testing.assert_allclose(half, (face + result) / 2, atol=1e-6)
    np.testing.assert_array_equal(carry_own_detail(face, footage, sigma=1.5, strength=0.0), face)


def test_detail_takes_the_light_of_the_generated_face() -> None:
    """By hand: a step of 0.02 in footage at 0.38 becomes (0.18 + 0.02) / (0.38 + 0.02) = half of it in a face at 0.18."""
    footage = np.full((32, 32, 3), 0.38, np.float32)
    footage[16, 16] += 0.02
    face = np.full((32, 32, 3), 0.18, np.float32)
    sigma = 2.0
    result = carry_own_detail(face, footage, sigma=sigma)
    spike = footage - cv2.GaussianBlur(footage, (0, 0), sigma)
    np.testing.assert_allclose(result - face, 0.5 * spike, atol=2e-5)


def test_the_picture_with_the_same_mouth_is_chosen(tmp_path: Path) -> None:
    pictures = [(gray(40 * number), mesh(0.01 * number)) for number in range(6)]
    with OwnDetail(face_set(tmp_path / "anna", *pictures)) as own:
        assert len(own) == 6
        places, weights = own.nearest(mesh(0.021, x=0.55, y=0.47))
        assert places[0] == 2
        assert weights.sum() == pytest.approx(1.0)
        assert (np.diff(weights) <= 0).all()


def test_pictures_come_and_go_without_a_jump(tmp_path: Path) -> None:
    pictures = [(gray(30 * number), mesh(0.012 * number)) for number in range(8)]
    with OwnDetail(face_set(tmp_path / "anna", *pictures)) as own:

        def weights(opened: float) -> np.ndarray:
            all_weights = np.zeros(8)
            places, some = own.nearest(mesh(opened))
            all_weights[places] = some
            return all_weights

        path = np.stack([weights(opened) for opened in np.linspace(0, 0.08, 401)])
    assert np.abs(np.diff(path, axis=0)).max() < 0.03
    assert path[0].argmax() == 0
    assert path[-1].argmax() == 7


def test_footage_is_carried_to_the_mesh(tmp_path: Path) -> None:
    picture = gray(60)
    start = mesh()
    column, row = np.floor(start[LOWER_LIP] * SIZE).astype(int)
    picture[row - 1 : row + 2, column - 1 : column + 2] = 250
    with OwnDetail(face_set(tmp_path / "anna", (picture, start))) as own:
        carried = own.footage(mesh(0.03, x=0.56, y=0.45), SIZE)
    mark = np.unravel_index(cv2.GaussianBlur(carried[..., 0], (0, 0), 1).argmax(), (SIZE, SIZE))
    expected = mesh(0.03, x=0.56, y=0.45)[LOWER_LIP] * SIZE
    np.testing.assert_allclose(mark[::-1], expected, atol=1.5)


def test_a_small_face_grows_to_the_footage_and_gains_its_detail(tmp_path: Path) -> None:
    numbers = np.random.default_rng(3)
    picture = (110 + 20 * numbers.standard_normal((SIZE, SIZE, 3))).clip(0, 255).astype(np.uint8)
    soft = np.full((32, 32, 3), 110 / 255, np.float32)
    with OwnDetail(face_set(tmp_path / "anna", (picture, mesh()))) as own:
        made = own.add(soft, mesh(), strength=1.0, detail_size=0.05)
        plain = own.add(soft, mesh(), strength=0.0, detail_size=0.05)
    assert made.shape == (SIZE, SIZE, 3)
    truth = picture / np.float32(255)
    middle = slice(12, -12)
    found = np.corrcoef((made - plain)[middle, middle].ravel(), (truth - truth.mean())[middle, middle].ravel())[0, 1]
    assert found > 0.9
    np.testing.assert_allclose(plain, 110 / 255, atol=1e-6)


def test_an_empty_set_is_said_to_be_empty(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no pictures to take detail from"):
        OwnDetail(face_set(tmp_path / "anna"))


def half() -> np.ndarray:
    """The left half of a picture."""
    mask = np.zeros((48, 48), np.float32)
    mask[:, :24] = 1
    return mask


def test_what_is_not_the_face_comes_in_nowhere() -> None:
    """A picture black outside its face: without its mask, the face's edge would be detail, and a rim."""
    footage = np.full((48, 48, 3), 0.6, np.float32) * half()[..., None]
    face = np.full((48, 48, 3), 0.3, np.float32)
    one = Detail(picture=footage, of_picture=half(), of_face=np.ones((48, 48), np.float32), weight=half())
    result = carry_details(face, [one], sigma=3.0)
    np.testing.assert_allclose(result[:, :24], 0.3, atol=0.01)
    np.testing.assert_array_equal(result[:, 24:], face[:, 24:])
    plain = carry_own_detail(face, footage, sigma=3.0)
    assert plain[24, 23, 0] > 0.35, "the rim"


def test_details_of_several_pictures_add_up() -> None:
    numbers = np.random.default_rng(5)
    pictures = [(0.5 + 0.05 * numbers.standard_normal((48, 48, 3))).astype(np.float32) for _ in range(2)]
    face, whole = np.full((48, 48, 3), 0.5, np.float32), np.ones((48, 48), np.float32)
    given = lambda picture, weight: Detail(picture=picture, of_picture=whole, of_face=whole, weight=weight * whole)  # noqa: E731
    both = carry_details(face, [given(pictures[0], 0.25), given(pictures[1], 0.5)], sigma=2.0)
    alone = [carry_details(face, [given(picture, 1.0)], sigma=2.0) - face for picture in pictures]
    np.testing.assert_allclose(both - face, 0.25 * alone[0] + 0.5 * alone[1], atol=1e-5)
    np.testing.assert_allclose(alone[0], carry_own_detail(face, pictures[0], sigma=2.0) - face, atol=0.004)
    np.testing.assert_array_equal(carry_details(face, [], sigma=2.0), face)


def creased() -> tuple[np.ndarray, np.ndarray]:
    """(96, 96, 3) a crease and pores apart: a soft dark line of 4 pixels' deviation, and noise of 0.004."""
    across = np.arange(96) + 0.5 - 48
    line = np.repeat(-0.15 * np.exp(-0.5 * (across / 4) ** 2)[None], 96, 0)[..., None]
    pores = 0.004 * np.random.default_rng(8).standard_normal((96, 96, 1))
    return np.repeat(line, 3, -1).astype(np.float32), np.repeat(pores, 3, -1).astype(np.float32)


def share_of(result: np.ndarray, part: np.ndarray) -> float:
    """How much of a part the middle of a picture has, by least squares."""
    result, part = (x[16:-16, 16:-16, 0] - x[16:-16, 16:-16, 0].mean() for x in (result, part))
    return float((result * part).sum() / (part * part).sum())


def test_creases_stay_behind_and_pores_come_or_the_other_way_round() -> None:
    line, pores = creased()
    face, whole = np.full((96, 96, 3), 0.5, np.float32), np.ones((96, 96), np.float32)
    made = lambda pores_, creases_: carry_details(  # noqa: E731
        face,
        [
            Detail(
                picture=face + line + pores,
                of_picture=whole,
                of_face=whole,
                weight=pores_ * whole,
                creases=None if creases_ is None else creases_ * whole,
            )
        ],
        sigma=16.0,
    )
    everything = made(1.0, None)
    np.testing.assert_allclose(made(1.0, 1.0), everything, atol=1e-6)
    assert share_of(everything, line) > 0.8 and share_of(everything, pores) > 0.9
    bare, only = made(1.0, 0.0), made(0.0, 1.0)
    assert abs(share_of(bare, line)) < 0.03 and share_of(bare, pores) > 0.5
    assert share_of(only, line) > 0.75 and share_of(only, pores) < 0.15
    half_gone = share_of(made(1.0, 0.5), line)
    assert 0.35 < half_gone < 0.6


def test_creases_change_where_their_weight_does_and_nowhere_else() -> None:
    line, pores = creased()
    face, whole = np.full((96, 96, 3), 0.5, np.float32), np.ones((96, 96), np.float32)
    picture, less = face + line + pores, whole.copy()
    less[:32] = 0
    one = Detail(picture=picture, of_picture=whole, of_face=whole, weight=whole)
    made = [carry_details(face, [replace(one, creases=weight)], sigma=16.0) for weight in (None, less)]
    np.testing.assert_array_equal(made[0][32:], made[1][32:])
    assert made[1][16, 48, 0] - made[0][16, 48, 0] > 0.1


def test_shading_stays_behind_and_creases_and_pores_come() -> None:
    line, pores = creased()
    face, whole = np.full((96, 96, 3), 0.5, np.float32), np.ones((96, 96), np.float32)
    place = np.arange(96, dtype=np.float32)
    wave = np.broadcast_to(0.1 * np.cos(place / 8)[:, None, None], face.shape)
    one = Detail(picture=face + line + pores + wave, of_picture=whole, of_face=whole, weight=whole)
    everything, fine, broad = (
        carry_details(face, [each], sigma=16.0)
        for each in (one, replace(one, shades=0 * whole), replace(one, weight=0 * whole, shades=whole))
    )
    # By hand: Gaussians of 16 and 5.6 pixels leave exp(-2) and exp(-0.245) of the wave.
    assert share_of(everything, wave) == pytest.approx(1 - np.exp(-2), abs=0.08)
    assert share_of(broad, wave) == pytest.approx(np.exp(-0.245) - np.exp(-2), abs=0.08)
    assert share_of(fine, wave) == pytest.approx(1 - np.exp(-0.245), abs=0.05)
    assert share_of(fine, pores) > 0.9 and share_of(fine, line) > 1.5 * share_of(fine, wave)
    np.testing.assert_allclose(fine + broad - face, everything, atol=1e-5)


def test_which_of_two_pictures_is_creased() -> None:
    line, pores = creased()
    smooth = 0.5 + pores
    assert carry_detail.creased(smooth + line, smooth, sigma=16.0)[48, 48] > 0.9
    assert carry_detail.creased(smooth, smooth + line, sigma=16.0)[48, 48] < 0.05
    # Creases are a share of the light: the same face in the dark is as creased.
    lit, dark = (carry_detail.creased(light * (0.6 + line), 0.6 + line, sigma=16.0)[48, 48] for light in (1.0, 0.4))
    assert lit == pytest.approx(0.3, abs=0.02) and dark == pytest.approx(lit, abs=0.1)


def test_the_plates_light_falls_on_the_face() -> None:
    """By hand: a face of 0.18 under a plate of 0.38 becomes (0.38 + 0.02) / (0.18 + 0.02) = twice as bright, its spots too."""
    face, plate = np.full((48, 48, 3), 0.18, np.float32), np.full((48, 48, 3), 0.38, np.float32)
    face[10, 10] += 0.05
    plate[:, 24:] = 0.0  # not the plate's face
    whole = np.ones((48, 48), np.float32)
    lit = carry_light(face, plate, of_face=whole, of_plate=half(), sigma=6.0)
    np.testing.assert_allclose(lit[30, 12], 0.36, atol=0.005)
    np.testing.assert_allclose(lit[10, 10] - lit[12, 12], 0.1, atol=0.01)
    # Where the plate has no face, its face's light goes on.
    np.testing.assert_allclose(lit[30, 30], 0.36, atol=0.01)


def test_light_without_complexion_moves_and_keeps_the_mean() -> None:
    """A dark even face under a bright plate whose right half is in shadow: it stays dark, and its right half goes darker."""
    face = np.full((48, 48, 3), (0.38, 0.28, 0.18), np.float32)
    plate = np.full((48, 48, 3), 0.78, np.float32)
    plate[:, 24:] = 0.38
    whole = np.ones((48, 48), np.float32)
    lit = carry_light(face, plate, of_face=whole, of_plate=whole, sigma=2.0, complexion=False)
    np.testing.assert_allclose(lit.mean(axis=(0, 1)), face[0, 0], atol=0.01)
    # By hand: the plate is 0.58 in the mean, so light is 0.8 / 0.6 of that on the left and 0.4 / 0.6 on the right.
    np.testing.assert_allclose(lit[24, 6], face[0, 0] * 0.8 / 0.6, atol=0.01)
    np.testing.assert_allclose(lit[24, 42], face[0, 0] * 0.4 / 0.6, atol=0.01)
