from __future__ import annotations

import cv2
import numpy as np
import pytest

from understudy.dataset.contact_sheet import TONES, Cell, contact_sheet, text_width, write_text
from understudy.dataset.face_set import FaceSet
from understudy.dataset.likeness import Embedder, low_resolution_embedder, stacked_likeness
from understudy.dataset.measures import hash_distances, picture_hash, sharpness
from understudy.dataset.review import (
    Condition,
    arrange,
    find_duplicates,
    score_entries,
    sheet_of_scores,
)
from understudy.errors import OptionError
from understudy.faces.face import Pose

SIZE = 64


def face(seed: int, *, blur: float = 0.0, hue: int = 0, light: float = 1.0) -> np.ndarray:
    """A drawn face: its features move a little with the seed."""
    numbers = np.random.default_rng(seed)
    picture = np.full((SIZE, SIZE, 3), (60, 90, 60), np.uint8)
    skin = ((200, 160, 140), (120, 80, 60))[hue]
    cv2.ellipse(picture, (32, 33), (17, 22), 0, 0, 360, skin, -1, cv2.LINE_AA)
    shift = numbers.integers(-4, 5, 8)
    for x, place in ((24, 0), (40, 2)):
        cv2.circle(picture, (x + int(shift[place]), 28 + int(shift[place + 1])), 3, (30, 30, 30), -1, cv2.LINE_AA)
    mouth = (32 + int(shift[4]), 44 + int(shift[5]))
    cv2.ellipse(picture, mouth, (8, 2 + abs(int(shift[6]))), 0, 0, 360, (120, 40, 50), -1, cv2.LINE_AA)
    texture = numbers.normal(0, 6, picture.shape)
    picture = np.clip((picture + texture) * light, 0, 255).astype(np.uint8)
    return cv2.GaussianBlur(picture, (0, 0), blur) if blur else picture


def add(face_set, number, picture, **pose):
    return face_set.add(
        clip="take",
        number=number,
        track=0,
        picture=picture,
        mask=np.ones((SIZE, SIZE), np.float32),
        landmarks=np.zeros((478, 2), np.float32),
        transform=np.eye(2, 3),
        pose=Pose(**({"yaw": 0.0, "pitch": 0.0, "roll": 0.0} | pose)),
        plate_pixels=100.0 + number,
    )


@pytest.fixture
def face_set(tmp_path):
    with FaceSet.create(tmp_path / "anna", SIZE) as face_set:
        yield face_set


def test_sharpness_knows_blur_and_not_light():
    sharp = sharpness(face(1))
    assert sharp > 1.5 * sharpness(face(1, blur=1.5)) > 0
    assert abs(sharpness(face(1, light=0.5)) / sharp - 1) < 0.1
    assert abs(sharpness(face(1).astype(np.uint16) * 257) / sharp - 1) < 1e-3
    assert sharpness(np.full((SIZE, SIZE, 3), 9, np.uint8)) == 0
    assert sharpness(face(1), np.zeros((SIZE, SIZE), np.float32)) == 0


def test_a_fingerprint_survives_encoding_and_light_and_tells_faces_apart():
    original = face(1)
    bits = np.frombuffer(picture_hash(original), np.uint8)
    assert bits.shape == (32,)
    encoded = cv2.imdecode(cv2.imencode(".jpg", original, [cv2.IMWRITE_JPEG_QUALITY, 90])[1], 1)
    near = [picture_hash(picture) for picture in (encoded, (original * 0.8).astype(np.uint8))]
    far = [picture_hash(face(seed)) for seed in range(2, 6)]
    distances = [hash_distances(np.frombuffer(other, np.uint8)[None], bits)[0] for other in near + far]
    assert max(distances[:2]) < min(distances[2:])


def test_the_sharpest_of_near_duplicates_is_kept(face_set):
    for number, picture in enumerate([face(1, blur=0.8), face(1), face(2), face(1, blur=0.5), face(3)]):
        add(face_set, number, picture)
    nearest = find_duplicates(face_set.entries(), threshold=40)
    duplicates = {name: other for name, (_, other) in nearest.items() if other}
    assert duplicates == {"take.000000.0": "take.000001.0", "take.000003.0": "take.000001.0"}


def test_sort_filter_and_the_worst(face_set):
    for number, (yaw, blur) in enumerate([(-50, 0), (10, 2), (60, 0), (0, 1)]):
        add(face_set, number, face(number, blur=blur), yaw=float(yaw))
    scores = score_entries(face_set, face_set.entries())

    def numbers(**wish):
        return [score.entry.number for score in arrange(scores, **wish)]

    assert numbers() == [0, 1, 2, 3]
    assert numbers(sort="yaw") == [0, 3, 1, 2]
    assert numbers(sort="yaw", worst=2) == [2, 0]
    assert numbers(sort="blur", worst=2) == [1, 3]
    assert numbers(sort="size", worst=1) == [0]
    assert numbers(where=[Condition.parse("|yaw|>20"), Condition.parse("yaw <= 0")]) == [0]
    assert numbers(where=[Condition.parse("size>=102")]) == [2, 3]
    with pytest.raises(OptionError, match="--worst 3 needs --sort"):
        numbers(worst=3)
    with pytest.raises(OptionError, match="must be 1 or more"):
        numbers(worst=0, sort="yaw")
    with pytest.raises(OptionError, match="Likeness was not measured"):
        numbers(sort="likeness")


@pytest.mark.parametrize("text", ["yaw", "yaw=3", "age>30", "|yaw>3", "name>3", ""])
def test_a_condition_that_is_not_understood(text):
    with pytest.raises(OptionError, match="is not understood: write a figure"):
        Condition.parse(text)


def test_duplicates_alone_is_a_condition():
    assert Condition.parse("duplicates").relation == "<="


def test_a_stranger_is_least_alike(face_set):
    for number in range(8):
        add(face_set, number, face(number, hue=int(number == 5)))
    scores = score_entries(face_set, face_set.entries(), embedder=low_resolution_embedder())
    assert arrange(scores, sort="likeness", worst=1)[0].entry.number == 5


def test_likeness_is_computed_once_a_picture(face_set):
    seen = []

    def embed(picture, landmarks):
        assert picture.shape == (SIZE, SIZE, 3) and picture.dtype == np.float32 and landmarks.shape == (478, 2)
        seen.append(1)
        return np.array([1.0, len(seen)])

    embedder = Embedder(name="test", embed=embed, title="a test")
    for number in range(3):
        add(face_set, number, face(number))
    first = [score.likeness for score in score_entries(face_set, face_set.entries(), embedder=embedder)]
    again = [score.likeness for score in score_entries(face_set, face_set.entries(), embedder=embedder)]
    assert first == again and len(seen) == 3


def test_a_minority_of_strangers_does_not_move_the_mean():
    numbers = np.random.default_rng(0)
    friends = np.array([1.0, 0, 0]) + numbers.normal(0, 0.05, (10, 3))
    strangers = np.array([0, 1.0, 0]) + numbers.normal(0, 0.05, (2, 3))
    cosines = stacked_likeness(np.concatenate([friends, strangers]))
    assert cosines[:10].min() > 0.95 and cosines[10:].max() < 0.3


def test_a_sheet_shows_what_it_is_given(face_set):
    names = [add(face_set, number, face(number)) for number in range(5)]
    face_set.drop(names[1:2], "eyes closed")
    scores = score_entries(face_set, face_set.entries() + face_set.entries(dropped=True))
    sheet = sheet_of_scores(face_set, scores, sort="yaw", title="anna")
    assert sheet.dtype == np.uint8 and sheet.shape[2] == 3
    assert (sheet == TONES["dropped"]).all(axis=-1).any()
    few = sheet_of_scores(face_set, scores, sort="name", title="anna", most=2)
    assert few.shape[0] < sheet.shape[0] or few.shape[1] < sheet.shape[1]


def test_an_empty_sheet_and_odd_pictures():
    assert contact_sheet([], 0, title="nothing").shape[2] == 3
    cells = [Cell(picture=np.zeros((10, 40, 3), np.float32)), Cell(picture=np.zeros((300, 20, 3), np.uint8))]
    assert contact_sheet(cells, 2, side=64).shape[0] > 64


def test_text_is_cut_at_its_room():
    picture = np.zeros((40, 400, 3), np.uint8)
    write_text(picture, "a very long line of text that cannot fit", (10, 25), 16, 100, (255, 255, 255))
    assert picture[:, 10:110].any() and not picture[:, 116:].any()
    assert text_width("wide", 16) > text_width("w", 16)
