from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from understudy.errors import FaceError, OptionError, StorageError
from understudy.faces.topology import STABLE
from understudy.jobs.people import choose_person, people_of, write_people_sheet
from understudy.jobs.track import TrackOptions, clip_sha256, track_clip


def walk(actor):
    return lambda number: [actor(x=100 + 4 * (number % 1000), y=120 + 5 * math.sin(number))]


def test_tracks_are_found_once_and_kept(drawn_clip, fake_finder, actor, tmp_path):
    clip = drawn_clip(walk(actor), range(1001, 1021))
    finder, stages = fake_finder(clip), []
    with track_clip(clip, finder=finder, cache=tmp_path, progress=lambda *step: stages.append(step)) as faces:
        assert faces.numbers == list(range(1001, 1021))
        assert len(finder.settled) == 20
        (found,) = faces.faces(1005)
        first = found.face.landmarks.copy()
        assert found.face.landmarks.shape == (478, 3) and found.face.visible > 0.9
    assert ("track", 20, 20) in stages
    clip.decoded.clear()
    with track_clip(clip, finder=finder, cache=tmp_path) as again:
        assert not clip.decoded and len(finder.settled) == 20
        np.testing.assert_array_equal(again.faces(1005)[0].face.landmarks, first)


def test_stabilising_and_smoothing_take_the_shake_away(drawn_clip, fake_finder, actor, tmp_path):
    clip = drawn_clip(walk(actor), range(40))
    with track_clip(clip, finder=fake_finder(clip, shake=1.0)) as faces:
        (track,) = faces.tracks
    figures = track.jitter
    assert 0.8 < figures.landmarks_before / math.sqrt(2) < 1.3
    assert figures.landmarks_after < 0.4 * figures.landmarks_before
    assert figures.crop_after < 0.4 * figures.crop_before
    assert (track.num_frames, track.first, track.last) == (40, 0, 39)
    assert abs(track.side - 120 / 0.68) < 2


def test_options_turn_them_off(drawn_clip, fake_finder, actor, tmp_path):
    clip = drawn_clip(walk(actor), range(20))
    options = TrackOptions(stabilise=False, smooth=False)
    with track_clip(clip, finder=fake_finder(clip), options=options, cache=tmp_path) as faces:
        figures = faces.tracks[0].jitter
        assert figures.landmarks_after == figures.landmarks_before
        assert abs(figures.crop_after - figures.crop_before) < 1e-3
    with track_clip(clip, finder=fake_finder(clip), cache=tmp_path) as other:
        assert other.tracks[0].jitter.landmarks_after < figures.landmarks_after
    assert len(list(tmp_path.glob("*.sqlite"))) == 2


def test_a_stopped_run_ends_with_the_same_numbers(drawn_clip, fake_finder, actor, tmp_path):
    clip = drawn_clip(walk(actor), range(16))
    stopped = fake_finder(clip, stop_at=9)
    with pytest.raises(KeyboardInterrupt):
        track_clip(clip, finder=stopped, cache=tmp_path / "a")
    resumed = fake_finder(clip)
    with track_clip(clip, finder=resumed, cache=tmp_path / "a") as one:
        assert len(stopped.settled) == 9 and len(resumed.settled) == 7
        with track_clip(clip, finder=fake_finder(clip), cache=tmp_path / "b") as other:
            for (number, first), (same, second) in zip(one, other, strict=True):
                assert number == same
                np.testing.assert_array_equal(first[0].face.landmarks, second[0].face.landmarks)
                np.testing.assert_array_equal(first[0].transform.matrix, second[0].transform.matrix)
            assert one.tracks == other.tracks


def test_without_a_cache_nothing_stays(drawn_clip, fake_finder, actor):
    clip = drawn_clip(walk(actor))
    faces = track_clip(clip, finder=fake_finder(clip))
    assert faces.path.exists()
    faces.close()
    assert not faces.path.exists()


def test_the_cache_follows_content_range_and_models(drawn_clip, fake_finder, actor, tmp_path):
    clip = drawn_clip(walk(actor), range(6))
    before = clip_sha256(clip)

    def files(changed=None, **finder):
        track_clip(changed or clip, finder=fake_finder(changed or clip, **finder), cache=tmp_path / "c").close()
        return len(list((tmp_path / "c").glob("*.sqlite")))

    assert files() == 1
    assert files(drawn_clip(walk(actor), range(5))) == 2
    assert files(weights={"models.task": "cd" * 32}) == 3
    clip.source.write_bytes(b"another film")
    assert clip_sha256(clip) != before and files() == 4


def test_frames_without_a_face_and_short_tracks(drawn_clip, fake_finder, actor, tmp_path):
    clip = drawn_clip(lambda number: [actor()] if number < 3 else [], range(6))
    with track_clip(clip, finder=fake_finder(clip)) as faces:
        assert faces.faces(4) == [] and faces.numbers == list(range(6))
        assert faces.tracks[0].jitter.landmarks_before is None
        assert [number for number, found in faces if found] == [0, 1, 2]
        assert faces.face(1, [0]) is not None and faces.face(1, [7]) is None


def test_smoothing_needs_no_more_than_stable_points(drawn_clip, fake_finder, actor):
    clip = drawn_clip(walk(actor), range(8))
    with track_clip(clip, finder=fake_finder(clip)) as faces:
        (track,) = faces.raw_tracks(STABLE)
    assert track.points.shape == track.raw_points.shape == (8, len(STABLE), 2)
    assert track.raw_corners.shape == (8, 4, 2)


def test_a_cache_that_cannot_be_written(drawn_clip, fake_finder, actor, tmp_path):
    clip = drawn_clip(walk(actor))
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="is no folder, or lies below a file"):
        track_clip(clip, finder=fake_finder(clip), cache=tmp_path / "file" / "below")


def cast(actor):
    """A main actor, a second one on the right for ten frames of thirty, and somebody who passes in two."""

    def script(number):
        seen = [actor(x=90, height=110)]
        if 5 <= number < 15:
            seen.append(actor(track=1, x=240, height=90))
        if number in (20, 21):
            seen.append(actor(track=2, x=280, y=60, height=60))
        return seen

    return script


def test_people_are_numbered_by_how_much_they_fill(drawn_clip, fake_finder, actor, tmp_path):
    clip = drawn_clip(cast(actor), range(30))
    sheet = tmp_path / "people.png"
    with track_clip(clip, finder=fake_finder(clip)) as faces:
        people = people_of(faces)
        assert [(person.number, person.tracks, person.num_frames) for person in people] == [
            (1, (0,), 30),
            (2, (1,), 10),
            (3, (2,), 2),
        ]
        assert [person.passing for person in people] == [False, False, True]
        write_people_sheet(clip, faces, people, sheet)
        assert sheet.stat().st_size > 1000
        with pytest.raises(FaceError, match=r"shows 2 people: 1 \(30 frames, 0-29.*--person NUMBER.*people.png"):
            choose_person(people, (), clip=clip, identity="anna", sheet=sheet)
        with pytest.raises(OptionError, match="--person 9 is nobody"):
            choose_person(people, (9,), clip=clip, identity="anna", sheet=sheet)
        assert choose_person(people, (2,), clip=clip, identity="anna", sheet=sheet).tracks == (1,)
        both = choose_person(people, (2, 3), clip=clip, identity="anna", sheet=sheet)
        assert both.tracks == (1, 2) and both.num_frames == 12
        without = [person for person in people if person.number != 2]
        assert choose_person(without, (), clip=clip, identity="anna", sheet=sheet).number == 1
    with pytest.raises(FaceError, match="No face was found in the 30 frames"):
        choose_person([], (), clip=clip, identity="anna", sheet=Path("x"))
