"""Comparisons hold the pictures where they belong, say honestly how far they differ, and hold one frame at a time."""

from __future__ import annotations

import json
import weakref
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import OpenImageIO as oiio  # noqa: N813
import pytest

from understudy.cli import main
from understudy.errors import MediaError, OptionError
from understudy.jobs.compare import CompareOptions, CompareReport, SideBySide, compare
from understudy.jobs.compare_layout import Layout, fit
from understudy.media.clip import open_clip
from understudy.media.frame import Frame
from understudy.provenance.stamp import Stamp, read_stamp, stamp_file


def write_picture(path: Path, value: float | np.ndarray, size=(64, 48), kind=np.uint8) -> Path:
    """A picture of one value, or of an array (H, W, 3), in [0, 1]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.broadcast_to(np.asarray(value, np.float32), (size[1], size[0], 3))
    pixels = picture.astype(np.float32) if kind == np.float32 else np.rint(picture * np.iinfo(kind).max).astype(kind)
    out = oiio.ImageOutput.create(str(path))
    spec = oiio.ImageSpec(size[0], size[1], 3, "float" if kind == np.float32 else np.dtype(kind).name)
    assert out.open(str(path), spec) and out.write_image(np.ascontiguousarray(pixels)), out.geterror()
    out.close()
    return path


def write_movie(path: Path, values, size=(64, 48), rate=25, sound=False) -> Path:
    """A lossless movie whose frames are of one grey each."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        audio = container.add_stream("pcm_s16le", rate=8000, layout="mono") if sound else None
        for value in values:
            frame = av.VideoFrame.from_ndarray(np.full((size[1] * 3 // 2, size[0]), 128, np.uint8), format="yuv420p")
            planes = frame.to_ndarray()
            planes[: size[1]] = value
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio is not None:
            samples = av.AudioFrame.from_ndarray(np.arange(8000, dtype=np.int16)[None], format="s16", layout="mono")
            samples.sample_rate = 8000
            container.mux(audio.encode(samples))
            container.mux(audio.encode(None))
    return path


def side(options: CompareOptions) -> CompareReport:
    report = compare(options)
    assert isinstance(report, CompareReport)
    return report


def test_pictures_stand_side_by_side_and_maps_under_them(tmp_path):
    """0.5 and 0.55, amplified four times: a map of 0.2, known to a step of 8 bits."""
    a, b = (
        write_picture(tmp_path / "a.png", 0.5, kind=np.uint16),
        write_picture(tmp_path / "b.png", 0.55, kind=np.uint16),
    )
    report = side(CompareOptions(clips=(str(a), str(b)), output=tmp_path / "side.png", labels=True, difference=True))
    picture = open_clip(report.output).frame(1).view()
    assert picture.shape[:2] == report.size[::-1]
    line = round(11 * 1.6)
    top, below = picture[line : line + 48], picture[line + 48 + 4 + 2 * line :][:48]
    assert np.allclose(top[:, :64], 0.5, atol=1e-4) and np.allclose(top[:, 68:132], 0.55, atol=1e-4)
    assert np.allclose(below[:, 68:132], 0.2, atol=1e-3)
    found = report.differences["b"]
    assert (found.mean, found.largest, found.beyond) == pytest.approx((0.05, 0.05, 0), abs=1e-4)
    assert picture[:line].max() > 0.5, "names are written above"
    assert report.record.is_file() and read_stamp(report.output) is None


def test_what_is_beyond_white_is_counted_and_said(tmp_path):
    values = np.full((48, 64, 3), 0.2, np.float32)
    values[:12] = 0.7  # a quarter of the picture differs by a half
    a, b = (
        write_picture(tmp_path / "a.png", 0.2, kind=np.uint16),
        write_picture(tmp_path / "b.png", values, kind=np.uint16),
    )
    report = side(CompareOptions(clips=(str(a), str(b)), output=tmp_path / "side.png", difference=True, amplify=10))
    found = report.differences["b"]
    assert (found.mean, found.largest, found.beyond) == pytest.approx((0.125, 0.5, 0.25), abs=1e-4)


def test_movies_keep_sound_and_rate_and_end_with_the_shortest(tmp_path):
    a = write_movie(tmp_path / "a.mkv", [60, 90, 120, 150], sound=True)
    b = write_movie(tmp_path / "b.mkv", [60, 90, 100], size=(128, 96))
    report = side(CompareOptions(clips=(str(a), str(b)), output=tmp_path / "side.mkv", height=48))
    assert report.num_frames == 3 and report.size == (64 + 4 + 64, 48)
    assert len(report.notes) == 2 and "shortest" in report.notes[0] and "height" in report.notes[1]
    with open_clip(report.output) as clip, av.open(str(report.output)) as container:
        assert len(clip) == 3 and clip.rate == Fraction(25) and len(container.streams.audio) == 1
        views = [frame.view() for frame in clip]
    with open_clip(a) as clip:
        for view, frame in zip(views, clip, strict=False):
            assert np.allclose(view[:, :64], frame.view(), atol=0.02)


def test_a_still_stands_beside_a_sequence_whose_numbers_stay(tmp_path):
    for number, value in zip(range(1001, 1004), (0.1, 0.2, 0.3), strict=True):
        write_picture(tmp_path / f"plate.{number}.png", value)
    still = write_picture(tmp_path / "still.png", 0.9)
    options = CompareOptions(
        clips=(str(still), str(tmp_path / "plate.####.png")), output=tmp_path / "out" / "side.####.png", first=None
    )
    report = side(options)
    with open_clip(report.output) as clip:
        assert list(clip.numbers) == [1001, 1002, 1003]
        view = clip.frame(1003).view()
    assert np.allclose(view[:48, :64], 0.9, atol=0.01) and np.allclose(view[:48, 68:132], 0.3, atol=0.01)
    part = side(
        replace(options, clips=options.clips[::-1], first=1002, last=1002, output=tmp_path / "one" / "s.####.png")
    )
    assert part.num_frames == 1 and (tmp_path / "one" / "s.1002.png").is_file()


def test_a_wipe_shows_both_and_its_line_travels(tmp_path):
    options = CompareOptions(clips=("a.png", "b.png"), wipe="vertical", wipe_at=0.25)
    views = [np.full((40, 80, 3), value, np.float32) for value in (0.25, 0.75)]
    picture = Layout(options, [(80, 40)] * 2).draw(views, 0.0)
    assert picture.shape == (40, 80, 3)
    assert (picture[:, :19] == 0.25).all() and (picture[:, 19:21] == 1).all() and (picture[:, 21:] == 0.75).all()
    travelling = Layout(replace(options, wipe_at=None), [(80, 40)] * 2)
    seen = [round(float((travelling.draw(views, second) == 0.25).mean()), 2) for second in (0, 1, 2, 3, 4)]
    assert seen == [0, 0.49, 1, 0.49, 0]  # the line itself covers one column of the left picture
    lying = Layout(replace(options, wipe="horizontal", difference=True), [(80, 40)] * 2)
    assert lying.draw(views, 0.0).shape[1] == 80 + 4 + 80


def test_values_that_cannot_be_shown_are_told_and_an_exr_keeps_them(tmp_path):
    a = write_picture(tmp_path / "a.exr", 4.0, kind=np.float32)
    b = write_picture(tmp_path / "b.exr", 0.5, kind=np.float32)
    report = side(CompareOptions(clips=(str(a), str(b)), output=tmp_path / "side.png"))
    assert any("100.00% of the pixels of a" in note for note in report.notes)
    kept = side(CompareOptions(clips=(str(a), str(b)), output=tmp_path / "side.exr"))
    assert not kept.notes
    assert open_clip(kept.output).frame(1).rgb()[10, 10] == pytest.approx([4.0] * 3, rel=1e-3)


def test_a_comparison_of_altered_pictures_is_marked_as_altered(tmp_path):
    a, b = write_picture(tmp_path / "a.png", 0.5), write_picture(tmp_path / "b.png", 0.6)
    stamp_file(b, Stamp())
    report = side(CompareOptions(clips=(str(a), str(b)), output=tmp_path / "side.png"))
    assert read_stamp(report.output) is not None
    assert json.loads(report.record.read_text())["digital_source_type"] == Stamp().digital_source_type


def test_one_frame_of_each_clip_is_held_at_a_time(drawn_clip):
    alive: weakref.WeakSet = weakref.WeakSet()
    most = 0

    def watched(clip):
        original = clip.frame

        def frame(number) -> Frame:
            nonlocal most
            made = original(number)
            alive.add(made)
            most = max(most, len(alive))
            return made

        clip.frame = frame
        return clip

    clips = [watched(drawn_clip(lambda number: [], range(1, 41), name)) for name in ("a.mov", "b.mov")]
    for _ in SideBySide(like=clips[0], clips=clips, num_frames=40).frames():
        pass
    assert most <= 6, f"{most} frames were held at once"


def test_sizes_are_brought_to_one_height_and_areas_averaged():
    checks = np.indices((40, 60)).sum(axis=0)[..., None].repeat(3, 2).astype(np.float32) % 2
    assert np.allclose(fit(checks, (30, 20)), 0.5)
    layout = Layout(CompareOptions(clips=("a.png", "b.png")), [(100, 50), (60, 60)])
    assert layout.height == 60 and layout.size == (120 + 4 + 60, 60)
    wide = Layout(CompareOptions(clips=("a.png", "b.png")), [(8000, 4000)] * 2)
    assert wide.size[0] <= 7680


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"clips": ()}, "two clips"),
        ({"clips": ("a.mov",)}, "stands alone"),
        ({"clips": ("x/a.mov", "y/a.png", "x/a.png")}, "called alike"),
        ({"names": ("one",)}, "--name was given 1 times for 2"),
        ({"wipe": "vertical", "clips": ("a.mov", "b.mov", "c.mov")}, "3 were named"),
        ({"wipe_at": 0.5}, "together with --wipe"),
        ({"amplify": 0.5}, "--amplify"),
        ({"votes": Path("v.jsonl")}, "add --vote"),
        ({"vote": True, "real": ("c",)}, "no clip is called that"),
    ],
)
def test_options_that_do_not_go_together_are_refused(changes, words):
    with pytest.raises(OptionError, match=words):
        CompareOptions(**{"clips": ("a.mov", "b.mov"), **changes})


def test_shapes_that_differ_are_not_laid_over_each_other(tmp_path):
    a, b = write_picture(tmp_path / "a.png", 0.5), write_picture(tmp_path / "b.png", 0.5, size=(48, 64))
    with pytest.raises(OptionError, match="different shapes"):
        compare(CompareOptions(clips=(str(a), str(b)), output=tmp_path / "side.png", difference=True))
    with pytest.raises(MediaError):
        compare(CompareOptions(clips=(str(a), str(tmp_path / "absent.png")), output=tmp_path / "side.png"))


def test_the_command_says_what_differs(tmp_path, capsys):
    a, b = write_picture(tmp_path / "a.png", 0.5), write_picture(tmp_path / "b.png", 0.6)
    output = tmp_path / "side.png"
    assert main(["compare", str(a), str(b), "-o", str(output), "--difference", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["output"] == str(output) and found["differences"]["b"]["mean"] == pytest.approx(0.1, abs=0.005)
    assert main(["compare", str(a), str(b), "-o", str(output), "--difference"]) == 0
    assert "b differs from a by" in capsys.readouterr().out
    assert main(["compare", str(a)]) == 2
