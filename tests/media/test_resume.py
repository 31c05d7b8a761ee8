"""Stopped at any moment, the same lines go on where they were."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from understudy.media.clip import create_clip, open_clip
from understudy.provenance.stamp import Stamp, read_stamp


class _StopError(Exception):
    pass


@pytest.mark.parametrize("kind", ["movie", "sequence"])
def test_an_exception_keeps_what_is_done(make_movie, make_picture, noise, tmp_path, kind) -> None:
    if kind == "movie":
        source, target = make_movie(), tmp_path / "out.mp4"
    else:
        for number in range(1, 7):
            make_picture(f"a.{number}.exr", noise("float16", 3, seed=number))
        source, target = tmp_path / "a.#.exr", tmp_path / "out.#.exr"
    with open_clip(source) as clip:
        with pytest.raises(_StopError), create_clip(target, like=clip) as writer:
            for frame in clip:
                if frame.number == 4:
                    raise _StopError
                writer.write(frame)
        assert (tmp_path / (target.name + ".partial")).is_dir()
        with create_clip(target, like=clip) as writer:
            assert writer.done == {1, 2, 3}
            for number in (6, 5, 4):  # any order
                writer.write(clip.frame(number))
        assert not (tmp_path / (target.name + ".partial")).exists()
        result = open_clip(target)
        assert list(result.numbers) == list(clip.numbers)
        # A finished clip is made anew when it is asked for again.
        assert create_clip(target, like=clip).done == set()


def test_another_job_starts_anew(make_movie, tmp_path) -> None:
    with open_clip(make_movie()) as clip:
        writer = create_clip(tmp_path / "out.mp4", like=clip, job="first")
        writer.write(clip.frame(1))
        writer.abandon()
        assert create_clip(tmp_path / "out.mp4", like=clip, job="first").done == {1}
        assert create_clip(tmp_path / "out.mp4", like=clip, job="second").done == set()
        assert create_clip(tmp_path / "out.mp4", like=clip, job="first").done == set()


def test_a_plate_rendered_anew_starts_anew(make_movie, tmp_path) -> None:
    with open_clip(make_movie()) as clip:
        writer = create_clip(tmp_path / "out.mp4", like=clip)
        writer.write(clip.frame(1))
    with open_clip(make_movie(options={"crf": "30"})) as clip:
        assert create_clip(tmp_path / "out.mp4", like=clip).done == set()


def test_two_writers_leave_each_others_files_alone(make_movie, tmp_path) -> None:
    with open_clip(make_movie()) as clip:
        first = create_clip(tmp_path / "out.mp4", like=clip)
        busy = tmp_path / "out.mp4.partial" / f"~{os.getpid()}.00000001.mkv"
        stale = tmp_path / "out.mp4.partial" / "~99999999.00000002.mkv"
        busy.touch()
        stale.touch()
        second = create_clip(tmp_path / "out.mp4", like=clip)
        assert busy.exists() and not stale.exists()
        busy.unlink()
        for number in (1, 3, 5):
            first.write(clip.frame(number))
        for number in (2, 4, 6):
            second.write(clip.frame(number))
        with create_clip(tmp_path / "out.mp4", like=clip) as last:
            assert last.done == set(clip.numbers)
    assert len(open_clip(tmp_path / "out.mp4")) == 6


def test_layers_may_be_incomplete(make_picture, noise, tmp_path) -> None:
    for number in (1, 2, 3):
        make_picture(f"a.{number}.png", noise("uint8", 3))
    with (
        open_clip(tmp_path / "a.#.png") as clip,
        create_clip(tmp_path / "m.#.png", like=clip, complete=False) as writer,
    ):
        writer.write(clip.frame(2))
    assert [path.name for path in sorted(tmp_path.glob("m.*"))] == ["m.2.png"]


_WORK = """
import sys
from understudy.media.clip import create_clip, open_clip
with open_clip(sys.argv[1]) as clip:
    with create_clip(sys.argv[2], like=clip) as writer:
        for frame in clip:
            if frame.number not in writer.done:
                writer.write(frame)
                print(frame.number, flush=True)
"""


@pytest.mark.parametrize("kind", ["movie", "sequence"])
def test_kill_at_any_time(make_movie, make_picture, noise, tmp_path, kind) -> None:
    count = 30
    if kind == "movie":
        source, target = make_movie(frames=count), tmp_path / "out.mp4"
    else:
        for number in range(1, count + 1):
            make_picture(f"a.{number:04d}.tif", noise("uint16", 3, (160, 120), seed=number))
        source, target = tmp_path / "a.####.tif", tmp_path / "out.####.tif"
    rng = np.random.default_rng(0)
    for _ in range(1):
        work = subprocess.Popen([sys.executable, "-c", _WORK, str(source), str(target)], stdout=subprocess.PIPE)
        assert work.stdout is not None
        for _ in range(int(rng.integers(2, 6))):
            work.stdout.readline()
        time.sleep(float(rng.random()) * 0.01)
        os.kill(work.pid, signal.SIGKILL)
        work.wait()
        if kind == "sequence":  # whatever is there is whole
            for path in tmp_path.glob("out.[0-9]*.tif"):
                assert path.read_bytes() == (tmp_path / path.name.replace("out", "a")).read_bytes()
    with open_clip(source) as clip:
        with create_clip(target, like=clip) as writer:
            assert len(writer.done) >= 2
            for frame in clip:
                if frame.number not in writer.done:
                    writer.write(frame)
        result = open_clip(target)
        assert list(result.numbers) == list(clip.numbers)
        for before, after in zip(clip, result, strict=True):
            assert np.abs(before.rgb() - after.rgb()).mean() < 0.01
    assert [
        path.name for path in tmp_path.iterdir() if "partial" in path.name or path.name.startswith(("~", "."))
    ] == []


def test_movies_carry_the_mark(make_movie, tmp_path) -> None:
    stamp = Stamp(software="Understudy 0.1", record_sha256="cd" * 32)
    with open_clip(make_movie(audio="aac")) as clip:
        for name in ("out.mp4", "out.mov", "out.mkv", "out.webm", "out.avi"):
            if name == "out.webm":
                continue  # holds no AAC
            with create_clip(tmp_path / name, like=clip, stamp=stamp) as writer:
                for frame in clip:
                    writer.write(frame)
            told = read_stamp(tmp_path / name)
            assert told is not None and told.digital_source_type == stamp.digital_source_type
            assert told.software == "Understudy 0.1"
            if name != "out.avi":  # which has no place for the record's hash
                assert told == stamp
            assert len(open_clip(tmp_path / name)) == 6
