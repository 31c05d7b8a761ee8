from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from understudy.errors import MediaError
from understudy.media.clip import create_clip, open_clip
from understudy.media.formats.planes import ColourTags, plane_format, to_pixels
from understudy.media.formats.timecode import advance


def _gray_square(frame):
    view = frame.view()
    where = np.zeros(view.shape[:2], bool)
    where[16:32, 24:40] = True
    view[where] = 0.5
    return frame.with_view(view, where)


def _copy(source, destination, change=_gray_square, **options):
    with open_clip(source) as clip, create_clip(destination, like=clip, **options) as writer:
        for frame in clip:
            writer.write(change(frame) if change else frame)
    return open_clip(destination)


def _sound(path) -> list[tuple[Fraction, bytes]]:
    """Packets of the sound, their seconds counted from the first picture."""
    with av.open(str(path)) as container:
        begin = min(packet.pts * packet.time_base for packet in container.demux(video=0) if packet.size)
    with av.open(str(path)) as container:
        return [
            (packet.pts * packet.time_base - begin, bytes(packet)) for packet in container.demux(audio=0) if packet.size
        ]


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mov", "libx264", "yuv422p10le"),
        ("a.mp4", "libx265", "yuv420p10le"),
        ("a.mov", "prores_ks", "yuv422p10le"),
        ("a.mov", "prores_ks", "yuva444p10le"),
        ("a.mkv", "ffv1", "yuv444p"),
        ("a.mkv", "ffv1", "gray"),
        ("a.mkv", "ffv1", "gbrp10le"),
        ("a.mov", "png", "gbrp"),
        ("a.avi", "mjpeg", "yuvj422p"),
        ("a.webm", "libvpx-vp9", "yuv420p"),
        ("a.webm", "libvpx", "yuv420p"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.mov", "qtrle", "gbrp"),
        ("a.mkv", "mpeg2video", "yuv422p"),
    ],
)
def test_written_in_the_plates_own_family_depth_and_size(make_movie, tmp_path, name, codec, pix_fmt) -> None:
    fed = {"png": "rgb24", "qtrle": "rgb24"}.get(codec)
    if fed:
        source = tmp_path / name
        with av.open(str(source), "w") as container:
            stream = container.add_stream(codec, rate=24)
            stream.width, stream.height, stream.pix_fmt = 64, 48, fed
            for index in range(4):
                ramp = np.add.outer(np.arange(48) * 3, np.arange(64) * 2 + index).astype(np.uint8)
                container.mux(
                    stream.encode(av.VideoFrame.from_ndarray(np.dstack([ramp, 255 - ramp, ramp // 2]), "rgb24"))
                )
            container.mux(stream.encode(None))
    else:
        source = make_movie(name, codec=codec, pix_fmt=pix_fmt, frames=4, rate=Fraction(25))
    plate = open_clip(source)
    assert plate.dtype == (np.uint16 if "10" in pix_fmt else np.uint8)
    result = _copy(source, tmp_path / f"out{source.suffix}")
    assert (result.codec, result.format.name, result.size, len(result)) == (
        plate.codec,
        plate.format.name,
        plate.size,
        4,
    )
    assert result.times == plate.times and result.rate == plate.rate
    for before, after in zip(plate, result, strict=True):
        assert after.number == before.number
        far = np.ones((48, 64), bool)
        far[8:40, 16:48] = False
        assert np.abs(before.rgb() - after.rgb())[far].mean() < 0.01
        assert np.abs(after.rgb()[20:28, 28:36] - 0.5).mean() < 0.03


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "options"),
    [
        ("a.ts", "libx264", "yuv420p", {"bf": "3", "g": "8"}),
        ("a.avi", "libx264", "yuv420p", {"bf": "3"}),
        ("a.avi", "mpeg4", "yuv420p", {"bf": "2"}),
        ("a.mpg", "mpeg2video", "yuv420p", {"bf": "2"}),
        ("a.mkv", "libx265", "yuv420p10le", {"g": "5"}),
        ("a.webm", "libvpx", "yuv420p", {"auto-alt-ref": "1", "lag-in-frames": "10", "b": "200k"}),
        ("a.mov", "v210", "yuv422p10le", {}),
        ("a.y4m", "rawvideo", "yuv420p", {}),
        ("a.flv", "libx264", "yuv420p", {}),
        ("a.nut", "ffv1", "yuv420p", {}),
    ],
)
def test_every_frame_once_whatever_the_container(make_movie, tmp_path, name, codec, pix_fmt, options) -> None:
    source = make_movie(name, codec=codec, pix_fmt=pix_fmt, options=options, frames=14, rate=Fraction(25))
    plate = open_clip(source)
    frames = list(plate)
    assert [frame.number for frame in frames] == list(range(1, 15))
    assert plate.times == [Fraction(place, 25) for place in range(14)]
    assert np.array_equal(plate.frame(9).pixels, frames[8].pixels)
    # The pattern moves, so a frame out of its place would differ.
    moves = np.abs(frames[8].rgb() - frames[9].rgb()).mean()
    result = _copy(source, tmp_path / f"out{source.suffix}", None)
    assert result.times == plate.times
    for before, after in zip(frames, result, strict=True):
        assert np.abs(before.rgb() - after.rgb()).mean() < moves / 2


def test_what_nobody_touched_comes_through_a_lossless_codec_bit_for_bit(make_movie, tmp_path) -> None:
    for pix_fmt, codec in [("yuv420p", "libx264"), ("yuv422p10le", "prores_ks"), ("yuv420p10le", "libx265")]:
        source = make_movie(f"{pix_fmt}.mov", codec=codec, pix_fmt=pix_fmt)
        result = _copy(source, tmp_path / f"{pix_fmt}.out.mkv", codec="ffv1")
        for before, after in zip(open_clip(source), result, strict=True):
            for place, (old, new) in enumerate(
                zip(before.header["movie"].planes, after.header["movie"].planes, strict=True)
            ):
                fmt = before.header["movie"].format
                step_y, step_x = (1 << fmt.shift_y, 1 << fmt.shift_x) if place else (1, 1)
                inside = np.zeros(old.shape, bool)
                inside[16 // step_y : 32 // step_y, 24 // step_x : 40 // step_x] = True
                assert np.array_equal(old[~inside], new[~inside])
                assert not np.array_equal(old[inside], new[inside])


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("codec", [None, "libx265", "ffv1"])
def test_variable_rate_keeps_every_time_stamp(make_movie, tmp_path, suffix, codec) -> None:
    if (suffix, codec) == (".mov", "ffv1"):
        pytest.skip("MOV holds no FFV1")
    # Milliseconds, which Matroska can hold too.
    times = [0, 40, 80, 200, 233, 1000, 1040, 1041]
    source = make_movie("vfr.mkv", frames=8, times=times, time_base=Fraction(1, 1000), rate=Fraction(25))
    plate = open_clip(source)
    assert not plate.index.constant
    assert plate.times == [Fraction(time, 1000) for time in times]
    result = _copy(source, tmp_path / f"out{suffix}", codec=codec)
    assert result.times == plate.times
    assert [frame.time for frame in result] == plate.times


def test_ntsc_rates_are_exact(make_movie, tmp_path) -> None:
    source = make_movie(frames=10)
    result = _copy(source, tmp_path / "out.mov")
    assert open_clip(source).rate == result.rate == Fraction(24000, 1001)
    assert result.times[-1] == Fraction(9 * 1001, 24000)


# Display matrices (16.16 fixed point) of the turns a phone makes, and of a mirrored one.
_ONE = 1 << 16
_TURNS = {
    "right": (0, _ONE, 0, -_ONE, 0, 0, 48 * _ONE, 0, 1 << 30),
    "left": (0, -_ONE, 0, _ONE, 0, 0, 0, 64 * _ONE, 1 << 30),
    "over": (-_ONE, 0, 0, 0, -_ONE, 0, 64 * _ONE, 48 * _ONE, 1 << 30),
    "mirrored": (-_ONE, 0, 0, 0, _ONE, 0, 64 * _ONE, 0, 1 << 30),
}


@pytest.mark.parametrize("turn", _TURNS)
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_rotation_flags(make_movie, tmp_path, turn, suffix) -> None:
    source = make_movie("turned.mp4", matrix=_TURNS[turn])
    plate = open_clip(source)
    assert plate.size == ((48, 64) if turn in ("right", "left") else (64, 48))
    # The stored picture's dark corner is top left.
    corner = {"right": (0, -1), "left": (-1, 0), "over": (-1, -1), "mirrored": (0, -1)}[turn]
    first = plate.frame(1)
    brightness = {place: first.rgb()[place].mean() for place in [(0, 0), (0, -1), (-1, 0), (-1, -1)]}
    assert min(brightness, key=lambda place: brightness[place]) == corner
    result = _copy(source, tmp_path / f"out{suffix}")
    assert result.size == plate.size
    # MP4 and MOV keep the flag and the stored way; the others are upright.
    assert result.coded_size == (plate.coded_size if suffix != ".mkv" else plate.size)
    assert result.orientation.upright_already is (suffix == ".mkv")
    for before, after in zip(plate, result, strict=True):
        difference = np.abs(before.rgb() - after.rgb())
        difference[12:36, 20:44] = 0
        assert difference.mean() < 0.015
        assert np.abs(after.rgb()[20:28, 28:36] - 0.5).mean() < 0.03


@pytest.mark.parametrize(
    ("name", "audio"), [("a.mp4", "aac"), ("a.mov", "pcm_s16le"), ("a.mkv", "flac"), ("a.mkv", "aac")]
)
@pytest.mark.parametrize("other", [None, ".mkv", ".mov"])
def test_sound_is_copied_untouched(make_movie, tmp_path, name, audio, other) -> None:
    if (audio, other) == ("flac", ".mov"):
        pytest.skip("MOV holds no FLAC")
    source = make_movie(name, audio=audio, frames=12)
    result = _copy(source, tmp_path / f"out{other or source.suffix}")
    before, after = _sound(source), _sound(result.source)
    if other is None:
        # MOV may cut raw samples into packets anew; the samples are the same.
        assert [data for _, data in before] == [data for _, data in after] or audio.startswith("pcm")
    assert b"".join(data for _, data in before) == b"".join(data for _, data in after)
    assert abs(before[0][0] - after[0][0]) < Fraction(1, 900)
    assert result.times == pytest.approx(open_clip(source).times, abs=0.001)


def test_sound_that_the_container_cannot_hold(make_movie, tmp_path) -> None:
    source = make_movie("a.mkv", audio="flac")
    with (
        open_clip(source) as clip,
        pytest.raises(MediaError, match=r"\.webm movie cannot hold the plate's sound \(flac\)"),
    ):
        create_clip(tmp_path / "out.webm", like=clip)


def test_a_part_gets_its_part_of_the_sound(make_movie, tmp_path) -> None:
    source = make_movie("a.mov", audio="pcm_s16le", frames=48, metadata={"timecode": "01:00:00:00"})
    with open_clip(source, first=13, last=24) as clip:
        assert list(clip.numbers) == list(range(13, 25))
        with create_clip(tmp_path / "out.mov", like=clip) as writer:
            for frame in clip:
                writer.write(frame)
    result = open_clip(tmp_path / "out.mov")
    assert len(result) == 12
    assert result.timecode == "01:00:00:12"
    samples = sum(len(data) for _, data in _sound(result.source)) / 2
    assert abs(samples / 48000 - 12 * 1001 / 24000) < 0.05


@pytest.mark.parametrize("tags", [(1, 1, 1, 1), (9, 16, 9, 1), (6, 6, 6, 2), (12, 13, 1, 1), (2, 2, 2, 0)])
@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"), [("a.mp4", "libx264", "yuv420p"), ("a.mov", "libx265", "yuv420p10le")]
)
def test_colour_tags_stay(make_movie, tmp_path, tags, name, codec, pix_fmt) -> None:
    source = make_movie(name, codec=codec, pix_fmt=pix_fmt, tags=tags)
    plate = open_clip(source)
    assert (plate.tags.primaries, plate.tags.transfer, plate.tags.matrix) == tags[:3]
    result = _copy(source, tmp_path / f"out{source.suffix}")
    assert result.tags == plate.tags


@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize("full", [1, 2])
def test_matrix_and_range_are_honoured_both_ways(make_movie, tmp_path, matrix, full) -> None:
    source = make_movie("a.mkv", codec="ffv1", pix_fmt="yuv444p10le", tags=(1, 1, matrix, full))
    frame = open_clip(source).frame(1)
    fmt = plane_format("yuv444p10le")
    assert fmt is not None
    expected = to_pixels(frame.header["movie"].planes, fmt, ColourTags(matrix=matrix, range=full))
    assert np.array_equal(frame.pixels, expected)
    red = np.zeros((48, 64, 3), np.float32)
    red[..., 0] = 1
    result = _copy(source, tmp_path / "out.mkv", lambda one: one.with_view(red, np.ones((48, 64), bool)))
    assert np.abs(result.frame(3).view() - red).max() < 0.004


def test_random_access_equals_the_stream(make_movie) -> None:
    clip = open_clip(make_movie(frames=30, options={"g": "8", "bf": "3"}))
    frames = {frame.number: frame.pixels for frame in clip}
    assert list(frames) == list(range(1, 31))
    for number in [30, 1, 17, 18, 20, 3, 9, 8]:
        assert np.array_equal(clip.frame(number).pixels, frames[number])
    with pytest.raises(MediaError, match="has the frames 1-30; frame 31 is not among them"):
        clip.frame(31)
    again = iter(clip)
    next(again)
    assert next(iter(clip)).number == 1
    assert next(again).number == 2


def test_frames_are_let_go(make_movie) -> None:
    import gc
    import weakref

    alive: list[weakref.ref] = []
    most = 0
    for frame in open_clip(make_movie(frames=40)):
        alive.append(weakref.ref(frame))
        del frame
        gc.collect(0)
        most = max(most, sum(one() is not None for one in alive))
    assert most <= 2


def test_metadata_and_timecode_stay(make_movie, tmp_path) -> None:
    for name in ("a.mov", "a.mp4"):
        source = make_movie(name, metadata={"title": "Shot 12", "timecode": "10:59:59:20"})
        plate = open_clip(source)
        assert plate.timecode == "10:59:59:20"
        result = _copy(source, tmp_path / f"out.{name}")
        assert result.timecode == "10:59:59:20"
        assert result.metadata["title"] == "Shot 12"


@pytest.mark.parametrize(
    ("code", "frames", "rate", "result"),
    [
        ("01:00:00:23", 1, Fraction(24000, 1001), "01:00:01:00"),
        ("00:00:59;29", 1, Fraction(30000, 1001), "00:01:00;02"),
        ("00:09:59;29", 1, Fraction(30000, 1001), "00:10:00;00"),
        ("00:01:00;02", 1798, Fraction(30000, 1001), "00:02:00;02"),
        ("00:00:59;59", 1, Fraction(60000, 1001), "00:01:00;04"),
        ("23:59:59:24", 1, Fraction(25), "00:00:00:00"),
    ],
)
def test_timecode_counts_frames(code, frames, rate, result) -> None:
    assert advance(code, frames, rate) == result


def test_movie_to_pictures_and_back(make_movie, tmp_path) -> None:
    source = make_movie(pix_fmt="yuv422p10le", codec="prores_ks", name="a.mov")
    with open_clip(source) as clip:
        for name in ("p.####.png", "p.####.exr"):
            with create_clip(tmp_path / name, like=clip) as writer:
                for frame in clip:
                    writer.write(frame)
            pictures = open_clip(tmp_path / name)
            assert list(pictures.numbers) == list(clip.numbers)
            assert pictures.frame(3).view() == pytest.approx(clip.frame(3).view(), abs=2e-5)
        with open_clip(tmp_path / "p.####.exr", rate=Fraction(25)) as pictures:
            with create_clip(tmp_path / "back.mov", like=pictures) as writer:
                for frame in pictures:
                    writer.write(frame)
            back = open_clip(tmp_path / "back.mov")
            assert back.rate == 25 and back.format.bits == 10 and back.tags.matrix == 1
            assert np.abs(back.frame(3).view() - clip.frame(3).view()).mean() < 0.01


def test_a_movie_of_another_size(make_movie, tmp_path) -> None:
    from dataclasses import replace

    with open_clip(make_movie()) as clip:
        with create_clip(tmp_path / "side.mp4", like=clip, size=(128, 48)) as writer:
            for frame in clip:
                writer.write(replace(frame, pixels=np.concatenate([frame.pixels, frame.pixels], axis=1)))
        assert open_clip(tmp_path / "side.mp4").size == (128, 48)


@pytest.mark.parametrize("codec", ["libx264", "ffv1"])
def test_odd_sizes(make_movie, tmp_path, codec) -> None:
    source = make_movie("odd.mkv", codec="ffv1", size=(63, 47))
    result = _copy(source, tmp_path / "out.mkv", codec=codec)
    assert result.size == (63, 47)
    assert np.abs(result.frame(2).rgb()[20:28, 28:36] - 0.5).mean() < 0.03
