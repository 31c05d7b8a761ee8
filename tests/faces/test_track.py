from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from understudy.errors import OptionError
from understudy.faces.appearance import NO_LOOK, Gallery, describe
from understudy.faces.cuts import CutFinder
from understudy.faces.track import FaceTracker, TrackerOptions, track_faces


def stage(*actors: tuple[np.ndarray, float]) -> np.ndarray:
    """A plate of 960x400 pixels with heads at given x, the last one in front."""
    plate = np.full((400, 960, 3), 96, np.uint8)
    window = np.zeros((320, 320, 1), np.float32)
    cv2.ellipse(window, (160, 175), (105, 135), 0, 0, 360, (1.0,), -1)
    for picture, x in actors:
        left = round(x) - 160
        first, last = max(0, -left), min(320, 960 - left)
        if first >= last:
            continue
        part = plate[40:360, left + first : left + last]
        part[:] = picture[:, first:last] * window[:, first:last] + part * (1 - window[:, first:last])
    return plate


def places(faces) -> dict[int, float]:
    return {face.track: float(face.landmarks[:468, 0].mean()) for face in faces}


@pytest.fixture
def tracker(detector, model) -> FaceTracker:
    return FaceTracker(detector, model)


@pytest.fixture
def two(pictures) -> tuple[np.ndarray, np.ndarray]:
    return pictures["frontal.jpg"], pictures["mouth_open.jpg"]


@pytest.mark.parametrize("in_front", [0, 1])
def test_crossing_people_keep_their_numbers(tracker, two, in_front):
    begin = end = {}
    for frame in range(31):
        first, second = (two[0], 150 + 21 * frame), (two[1], 780 - 21 * frame)
        faces = tracker.step(stage(first, second) if in_front else stage(second, first))
        if frame == 0:
            begin = places(faces)
        end = places(faces)
    assert sorted(begin) == sorted(end) == [0, 1]
    for number in (0, 1):
        assert abs(begin[number] - end[number]) > 500, "each has gone to the other side"


def test_a_short_gap_keeps_the_number(tracker, two):
    for frame in range(4):
        assert list(places(tracker.step(stage((two[0], 300 + 4 * frame))))) == [0]
    for _ in range(6):
        assert tracker.step(stage()) == []
    assert list(places(tracker.step(stage((two[0], 330))))) == [0]


def test_people_leave_and_enter(tracker, two):
    seen = []
    for frame in range(14):
        seen.append(sorted(places(tracker.step(stage((two[0], 480 + 60 * frame), (two[1], 200))))))
    assert seen[0] == [0, 1] and len(seen[-1]) == 1
    for _ in range(6):
        last = tracker.step(stage((two[1], 200), (two[0], 700)))
    assert sorted(places(last)) == [0, 1]


def test_cuts_between_people(tracker, two):
    shots = [(two[0], 480), (two[1], 480), (two[0], 480), (two[1], 480)]
    seen = []
    for picture, x in shots:
        plate = stage((picture, x))
        plate[:40], plate[360:] = picture[:40].mean(), picture[-40:].mean() / 3
        backdrop = np.uint8(40 if picture is two[0] else 190)
        plate[(plate == 96).all(axis=-1)] = backdrop
        for _ in range(3):
            seen.append([face.track for face in tracker.step(plate)])
    assert seen == [[0]] * 3 + [[1]] * 3 + [[0]] * 3 + [[1]] * 3


def test_no_more_people_than_wanted(detector, model, two):
    tracker = FaceTracker(detector, model, TrackerOptions(people=1))
    for _ in range(3):
        assert len(tracker.step(stage((two[0], 250), (two[1], 700)))) == 1


def test_same_pictures_same_numbers(detector, model, two):
    plates = [stage((two[0], 300 + 10 * frame)) for frame in range(4)]
    runs = [[FaceTracker.step(tracker, plate) for plate in plates] for tracker in (FaceTracker(detector, model),) * 1]
    again = FaceTracker(detector, model)
    for faces, plate in zip(runs[0], plates, strict=True):
        np.testing.assert_array_equal(faces[0].landmarks, again.step(plate)[0].landmarks)


def test_a_stream_of_frames(detector, model, two):
    @dataclass
    class Still:
        number: int

        def view(self) -> np.ndarray:
            return stage((two[0], 400)).astype(np.float32) / 255

    calls = []
    found = list(
        track_faces(
            [Still(1001), Still(1002)], detector, model, progress=lambda *report: calls.append(report), people=2
        )
    )
    assert [faces.number for faces in found] == [1001, 1002]
    assert [len(faces.faces) for faces in found] == [1, 1]
    assert calls == [("track", 1, 2), ("track", 2, 2)]


def test_options_are_checked():
    with pytest.raises(OptionError, match="people=0"):
        TrackerOptions(people=0)
    with pytest.raises(OptionError, match="presence=1.5"):
        TrackerOptions(presence=1.5)


def test_cuts_are_told_from_motion():
    random = np.random.default_rng(0)
    scenes = [cv2.resize(random.integers(0, 255, (6, 8, 3), np.uint8), (800, 400)) for _ in range(2)]
    finder = CutFinder()
    pan = [finder.step(np.ascontiguousarray(scenes[0][:, 6 * step : 6 * step + 500])) for step in range(12)]
    assert not any(pan)
    assert finder.step(scenes[1][:, :500])
    assert not finder.step(scenes[1][:, 6:506])


def test_gallery_knows_whom_it_has_seen(pictures, truth, detector, model):
    from understudy.faces.measure import single_face

    looks = {
        name: describe(picture, single_face(picture, detector, model).landmarks) for name, picture in pictures.items()
    }
    gallery = Gallery(capacity=2)
    assert gallery.likeness(looks["frontal.jpg"]) == -1
    gallery.add(looks["frontal.jpg"])
    assert gallery.likeness(looks["frontal.jpg"]) == pytest.approx(1)
    assert gallery.likeness(looks["turned.jpg"]) < 0.9
    assert gallery.likeness(NO_LOOK) == 0
    for look in looks.values():
        gallery.add(look)
    assert all(gallery.likeness(look) > 0.5 for look in looks.values())
