"""Footage that cannot be used: each a sentence that says what, where, and what to do."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.errors import MediaError, StorageError
from understudy.media.clip import create_clip, open_clip


def _cut(path, share: float):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def test_empty_files(tmp_path) -> None:
    for name in ("a.mp4", "a.png", "a.0001.exr"):
        (tmp_path / name).touch()
        with pytest.raises(MediaError, match=rf"{name} is empty \(0 bytes\)"):
            open_clip(tmp_path / name)


def test_a_movie_without_its_index(make_movie) -> None:
    with pytest.raises(MediaError, match=r"plate.mp4 cannot be opened: the movie is truncated, its index \(moov\)"):
        open_clip(_cut(make_movie(), 0.6))


def test_a_movie_whose_frames_break_off(make_movie) -> None:
    path = _cut(make_movie("plate.mp4", frames=40, muxing={"movflags": "faststart"}), 0.6)
    with pytest.raises(
        MediaError, match=r"plate.mp4 is truncated: it breaks off after frame (\d+) of 40. .* last=\1"
    ) as told:
        open_clip(path)
    last = int(str(told.value).split("last=")[1].rstrip("."))
    # What is there can be used, when the user says so.
    assert last > 10
    assert [frame.number for frame in open_clip(path, last=last)] == list(range(1, last + 1))


def test_a_matroska_that_breaks_off(make_movie) -> None:
    path = _cut(make_movie("plate.mkv", frames=60, options={"g": "10"}), 0.6)
    with pytest.raises(MediaError, match=r"plate.mkv is truncated: it breaks off after frame \d+ \(.* s of 2.5 s\)"):
        open_clip(path)


def test_damage_in_the_middle(make_movie) -> None:
    path = make_movie("plate.mov", codec="png", pix_fmt="gray", frames=12)
    data = bytearray(path.read_bytes())
    middle = len(data) // 3
    data[middle : middle + 400] = bytes(400)
    path.write_bytes(bytes(data))
    with pytest.raises(MediaError, match=r"plate.mov.*(damaged|truncated|cannot be decoded)"):
        list(open_clip(path))


def test_what_is_no_movie(tmp_path, make_movie) -> None:
    text = tmp_path / "notes.mov"
    text.write_text("This is no movie. " * 50)
    with pytest.raises(MediaError, match="notes.mov cannot be opened: it is no movie that FFmpeg knows"):
        open_clip(text)
    with pytest.raises(MediaError, match="nothing.mov was not found; in .* there is notes.mov"):
        open_clip(tmp_path / "nothing.mov")


def test_a_movie_without_pictures(tmp_path) -> None:
    import av

    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="mono")
        chunk = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        chunk.rate = 48000
        container.mux(stream.encode(chunk))
        container.mux(stream.encode(None))
    with pytest.raises(MediaError, match=r"sound.mp4 has no picture track \(it holds audio\)"):
        open_clip(path)


def test_ranges_beyond_the_footage(make_movie, make_picture, noise, tmp_path) -> None:
    with pytest.raises(MediaError, match=r"plate.mp4 has 6 frames, numbered 1-6; the range 1-10 goes beyond"):
        open_clip(make_movie(), last=10)
    make_picture("a.0007.png", noise("uint8", 3))
    with pytest.raises(MediaError, match=r"a.####.png has the frames 7; none lies within 1001-1002"):
        open_clip(f"{tmp_path}/a.####.png 1001-1002")
    with pytest.raises(MediaError, match="The range 9-3 of .* is empty"):
        open_clip(tmp_path / "a.####.png", first=9, last=3)


def test_one_pixel(make_picture, noise) -> None:
    with pytest.raises(MediaError, match="dot.png is 1 x 1 pixels: too small for footage, at least 8 x 8"):
        open_clip(make_picture("dot.png", noise("uint8", 3, (1, 1))))


def test_mixed_sizes(make_picture, noise, tmp_path) -> None:
    make_picture("a.1.png", noise("uint8", 3))
    make_picture("a.2.png", noise("uint8", 3, (40, 24)))
    with pytest.raises(MediaError, match=r"a.#.png mixes sizes: frame 2 is 40 x 24, frame 1 32 x 24"):
        open_clip(tmp_path / "a.#.png")


def test_missing_frames(make_picture, noise, tmp_path) -> None:
    for number in (1, 2, 5, 8):
        make_picture(f"a.{number:03d}.png", noise("uint8", 3))
    with pytest.raises(MediaError, match=r'a.###.png lacks the frames 3-4, 6-7 of 1-8. .* missing="skip"'):
        open_clip(tmp_path / "a.###.png")
    clip = open_clip(tmp_path / "a.###.png", missing="skip")
    assert clip.missing == (3, 4, 6, 7) and list(clip.numbers) == [1, 2, 5, 8]
    assert [frame.number for frame in clip] == [1, 2, 5, 8]
    with pytest.raises(MediaError, match="lacks the frames 9-10 of 8-10"):
        open_clip(f"{tmp_path}/a.###.png 8-10")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "exr"])
def test_truncated_and_foreign_pictures(make_picture, noise, suffix) -> None:
    path = make_picture(f"a.{suffix}", noise("float16" if suffix == "exr" else "uint8", 3, (200, 150)))
    _cut(path, 0.5)
    with pytest.raises(MediaError, match=rf"a.{suffix} (is damaged or truncated|cannot be read as a picture)"):
        open_clip(path).frame(1)
    path.write_text("no picture at all " * 20)
    with pytest.raises(MediaError, match=rf"a.{suffix} cannot be read as a picture"):
        open_clip(path)


def test_pictures_without_colour(make_picture, noise) -> None:
    path = make_picture("ids.exr", noise("float32", 3), channels=("Z", "u", "v"))
    with pytest.raises(MediaError, match="ids.exr has the channels Z, u, v: R, G, B or a gray channel Y is needed"):
        open_clip(path)


def test_full_disk_while_frames_are_written(make_picture, noise, tmp_path, monkeypatch) -> None:
    import errno
    from pathlib import Path

    for number in range(1, 5):
        make_picture(f"a.{number}.png", noise("uint8", 3, seed=number))
    clip = open_clip(tmp_path / "a.#.png")
    written = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if "b.3.png" in path.name:
            written(path, data[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    message = "b.3.png could not be written: the disk is full"
    with pytest.raises(StorageError, match=message), create_clip(tmp_path / "b.#.png", like=clip) as writer:
        for frame in clip:
            writer.write(frame)
    monkeypatch.undo()
    assert not (tmp_path / "b.3.png").exists()
    with create_clip(tmp_path / "b.#.png", like=clip) as writer:
        assert writer.done == {1, 2}
        for frame in clip:
            if frame.number not in writer.done:
                writer.write(frame)
    assert len(open_clip(tmp_path / "b.#.png")) == 4


def test_full_disk_while_a_movie_is_encoded(make_movie, tmp_path, monkeypatch) -> None:
    import errno

    from understudy.media.formats import movie_writer

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with open_clip(make_movie()) as clip:
        real = movie_writer.encode_movie
        monkeypatch.setattr(movie_writer, "encode_movie", full)
        message = "out.mp4 could not be written: the disk is full"
        with pytest.raises(StorageError, match=message), create_clip(tmp_path / "out.mp4", like=clip) as writer:
            for frame in clip:
                writer.write(frame)
        monkeypatch.setattr(movie_writer, "encode_movie", real)
        assert not (tmp_path / "out.mp4").exists()
        with create_clip(tmp_path / "out.mp4", like=clip) as writer:
            assert writer.done == set(clip.numbers)
    assert len(open_clip(tmp_path / "out.mp4")) == 6


def test_a_folder_that_cannot_be_written(make_picture, noise, tmp_path, monkeypatch) -> None:
    import errno
    from pathlib import Path

    clip = open_clip(make_picture("a.png", noise("uint8", 3)))

    def denied(*_, **__):
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", denied)
    with pytest.raises(StorageError, match="permission was denied"):
        create_clip(tmp_path / "locked/b.png", like=clip)


def test_codecs_that_do_not_fit(make_movie, tmp_path) -> None:
    with open_clip(make_movie()) as clip:
        with pytest.raises(MediaError, match=r"No encoder fits a \.mp4 movie: \.mp4 does not hold huffyuv"):
            create_clip(tmp_path / "out.mp4", like=clip, codec="huffyuv")
        with pytest.raises(MediaError, match="nonsense is no encoder here"):
            create_clip(tmp_path / "out.mp4", like=clip, codec="nonsense")


def test_frames_that_do_not_belong(make_movie, tmp_path) -> None:
    from dataclasses import replace

    with open_clip(make_movie()) as clip:
        writer = create_clip(tmp_path / "out.mp4", like=clip)
        frame = clip.frame(1)
        with pytest.raises(MediaError, match="frame 9 is not in .*plate.mp4, which has 1-6"):
            writer.write(replace(frame, number=9))
        with pytest.raises(MediaError, match="frame 1 is 32 x 24, the movie 64 x 48"):
            writer.write(replace(frame, pixels=frame.pixels[:24, :32]))
        writer.write(frame)
        with pytest.raises(MediaError, match=r"out.mp4 is not finished: the frames 2-6 are still to be written"):
            writer.close()
        assert create_clip(tmp_path / "out.mp4", like=clip).done == {1}
