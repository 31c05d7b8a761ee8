from __future__ import annotations

import copy
import errno
import sqlite3
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from understudy.dataset import pictures
from understudy.dataset.face_set import FaceSet
from understudy.errors import DatasetError, InternalError, OptionError, StorageError
from understudy.faces.face import Pose

SIZE = 32


def crop(seed: int = 0, dtype: type = np.uint8) -> np.ndarray:
    top = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, top, (SIZE, SIZE, 3), dtype=dtype, endpoint=True)


def add(face_set: FaceSet, number: int, *, clip: str = "take", seed: int | None = None, **changes) -> str:
    values = {
        "picture": crop(number if seed is None else seed),
        "mask": np.ones((SIZE, SIZE), np.float32) * 0.5,
        "landmarks": np.full((478, 3), number, np.float32),
        "transform": np.array([[0.01, 0, 0], [0, 0.01, number]]),
        "pose": Pose(yaw=number, pitch=1, roll=2),
        "plate_pixels": 100.0,
    }
    return face_set.add(clip=clip, number=number, track=0, **(values | changes))


@pytest.fixture
def face_set(tmp_path):
    with FaceSet.create(tmp_path / "anna", SIZE) as face_set:
        yield face_set


def test_a_crop_comes_back_as_it_was(face_set):
    name = add(face_set, 1042)
    assert name == "take.001042.0"
    (entry,) = face_set.entries()
    assert (entry.clip, entry.number, entry.track, entry.dropped) == ("take", 1042, 0, None)
    assert entry.landmarks.shape == (478, 2) and (entry.landmarks == 1042).all()
    assert entry.transform[1, 2] == 1042 and entry.pose.yaw == 1042
    picture, mask = face_set.load(entry)
    np.testing.assert_array_equal(np.round(picture * 255).astype(np.uint8), crop(1042))
    assert mask.shape == (SIZE, SIZE) and abs(mask.mean() - 0.5) < 0.01
    assert face_set.load(entry, 16)[0].shape == (16, 16, 3)
    assert face_set.load(entry, 64)[0].shape == (64, 64, 3)
    # A plain RGB picture, as any viewer shows it.
    np.testing.assert_array_equal(cv2.imread(str(entry.path))[..., ::-1], crop(1042))


def test_sixteen_bits_stay_sixteen(face_set):
    add(face_set, 1, picture=crop(5, np.uint16))
    (entry,) = face_set.entries()
    np.testing.assert_array_equal(np.round(face_set.load(entry)[0] * 65535).astype(np.uint16), crop(5, np.uint16))


def test_a_picture_deleted_by_hand_is_gone_and_stays_known(face_set):
    clip = face_set.clip_name("x/take.mov", "a" * 64)
    for number in (1, 2, 3):
        add(face_set, number, clip=clip)
    face_set.entries()[1].path.unlink()
    assert [entry.number for entry in face_set.entries()] == [1, 3]
    state = face_set.clip_state(clip)
    assert state.written == {1, 3} and state.gone == {2}


def test_gathering_again_starts_over_and_goes_on_after_a_stop(face_set):
    clip = face_set.clip_name("take.mov", "a" * 64)
    for number in (1, 2):
        add(face_set, number, clip=clip)
    face_set.note_skipped(clip, [(3, "no face")], "s")
    face_set.entries()[0].path.unlink()
    face_set.start_again(clip)
    state = face_set.clip_state(clip, "s")
    assert not state.written and not state.gone and not state.skipped
    add(face_set, 1, clip=clip)
    face_set.start_again(clip)  # the process was killed here and the same command given again
    assert face_set.clip_state(clip, "s").written == {1}
    add(face_set, 2, clip=clip)
    face_set.finish_again(clip)
    assert face_set.clip_state(clip, "s").written == {1, 2}
    assert face_set.clip_state(clip, "s").skipped == {3: "no face"}


def test_skipped_frames_are_known_for_the_same_settings(face_set):
    clip = face_set.clip_name("take.mov", "a" * 64)
    face_set.note_skipped(clip, [(7, "too small")], "strict")
    assert face_set.clip_state(clip, "strict").skipped == {7: "too small"}
    assert face_set.clip_state(clip, "lax").skipped == {}
    add(face_set, 7, clip=clip)
    assert face_set.clip_state(clip, "strict").skipped == {}


def test_clips_of_the_same_name_are_kept_apart(face_set):
    first = face_set.clip_name("day1/take 1.mov", "a" * 64)
    second = face_set.clip_name("day2/take 1.mov", "b" * 64)
    assert first == "take_1" and second == "take_1-bbbbbbbb"
    assert face_set.clip_name("moved/other.mov", "a" * 64) == first


def test_drop_and_restore(face_set):
    names = [add(face_set, number) for number in range(3)]
    assert face_set.drop([names[1], names[1] + ".png"], "blurred") == [names[1]]
    assert [entry.name for entry in face_set.entries()] == [names[0], names[2]]
    (dropped,) = face_set.entries(dropped=True)
    assert dropped.dropped == "blurred" and dropped.path.parent.name == "dropped"
    face_set.load(dropped)
    add(face_set, 1)  # gathered again: it stays dropped
    assert [entry.name for entry in face_set.entries(dropped=True)] == [names[1]]
    assert face_set.restore([names[1], names[0]]) == [names[1]]
    assert len(face_set) == 3
    with pytest.raises(DatasetError, match="no picture named 'nobody' "):
        face_set.drop([names[0], "nobody", "else"])
    assert len(face_set) == 3


def test_dropping_and_restoring_by_hand(face_set):
    name = add(face_set, 1)
    (face_set.folder / "dropped").mkdir()
    (entry,) = face_set.entries()
    moved = entry.path.rename(face_set.folder / "dropped" / entry.path.name)
    assert face_set.entries() == []
    assert face_set.entries(dropped=True)[0].dropped == ""
    moved.rename(entry.path)
    assert face_set.entries()[0].name == name


def test_strangers_in_the_folder_are_left_alone(face_set):
    cv2.imwrite(str(face_set.folder / "pictures" / "holiday.png"), crop())
    assert face_set.entries() == []


def test_a_damaged_picture_is_named(face_set):
    add(face_set, 1)
    (entry,) = face_set.entries()
    entry.path.write_bytes(entry.path.read_bytes()[:40])
    with pytest.raises(DatasetError, match=r"take.000001.0.png cannot be read"):
        face_set.load(entry)
    entry.path.write_bytes(b"")
    with pytest.raises(DatasetError, match="cannot be read"):
        face_set.load(entry)


def test_opening_what_is_not_there_or_damaged(tmp_path, face_set):
    with pytest.raises(DatasetError, match="gather footage of this identity first"):
        FaceSet.open(tmp_path / "nobody")
    with pytest.raises(OptionError, match="holds crops of 32 pixels and 64 were asked for"):
        FaceSet.create(face_set.folder, 64)
    with pytest.raises(OptionError, match="from 16 to 4096"):
        FaceSet.create(tmp_path / "tiny", 1)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "face_set.sqlite").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(DatasetError, match="is damaged .*move the folder away"):
        FaceSet.open(tmp_path / "bad")
    (tmp_path / "new").mkdir()
    connection = sqlite3.connect(tmp_path / "new" / "face_set.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(DatasetError, match="another version"):
        FaceSet.open(tmp_path / "new")


def test_a_crop_of_the_wrong_shape_is_our_mistake(face_set):
    with pytest.raises(InternalError, match="set of size 32"):
        add(face_set, 1, picture=np.zeros((8, 8, 3), np.uint8))


def test_a_full_disk_leaves_nothing_half(face_set, monkeypatch):
    add(face_set, 1)

    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pictures.Path, "write_bytes", full)
    with pytest.raises(StorageError, match="the disk is full"):
        add(face_set, 2)
    monkeypatch.undo()
    assert [entry.number for entry in face_set.entries()] == [1]
    assert not list(face_set.folder.glob("*/.*"))
    add(face_set, 2)
    assert len(face_set) == 2


def test_a_full_disk_in_the_database_is_a_sentence(face_set):
    face_set._database.execute("PRAGMA max_page_count = 1")
    with pytest.raises(StorageError, match="free some space and run the same command again"):
        for number in range(200):
            add(face_set, number)


def test_it_travels_to_other_processes(face_set):
    add(face_set, 1)
    twin = copy.copy(face_set)  # as pickling does it: only folder and size travel
    assert [entry.name for entry in twin.entries()] == ["take.000001.0"]


WRITER = """
import sys
import numpy as np
from understudy.dataset.face_set import FaceSet
from understudy.faces.face import Pose
face_set = FaceSet.create(sys.argv[1], 32)
for number in range(1, 100000):
    face_set.add(
        clip="take", number=number, track=0, picture=np.full((32, 32, 3), number % 256, np.uint8),
        mask=np.ones((32, 32), np.float32), landmarks=np.zeros((478, 2), np.float32), transform=np.eye(2, 3),
        pose=Pose(yaw=0, pitch=0, roll=0), plate_pixels=100.0,
    )
"""


@pytest.mark.parametrize("delay", [0.15, 0.4])
def test_killed_at_any_moment_it_is_whole(tmp_path, delay):
    folder = tmp_path / "anna"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)])
    until = time.time() + 20
    while not list(folder.glob("pictures/take*.png")) and time.time() < until:
        time.sleep(0.01)
    time.sleep(delay)
    writer.kill()
    writer.wait()
    with FaceSet.open(folder) as face_set:
        entries = face_set.entries()
        assert entries and [entry.number for entry in entries] == list(range(1, len(entries) + 1))
        for entry in entries:
            assert (np.round(face_set.load(entry)[0] * 255) == entry.number % 256).all()
        add(face_set, len(entries) + 1)
        assert len(face_set) == len(entries) + 1


def test_vectors_belong_to_the_picture_that_they_were_made_of(face_set):
    name = add(face_set, 1)
    face_set.store_vectors("e", {name: np.arange(4)})
    np.testing.assert_array_equal(face_set.vectors("e")[name], [0, 1, 2, 3])
    assert face_set.vectors("other") == {}
    add(face_set, 1, seed=9)
    assert face_set.vectors("e") == {}
