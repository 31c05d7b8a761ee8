"""A whole shot, from footage on disk to footage on disk, with stand-ins for the face models and the network."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.composite.options import CompositeOptions
from understudy.dataset.face_set import FaceSet
from understudy.errors import ConsentError, FaceError, MediaError, OptionError
from understudy.faces.align import mean_mesh
from understudy.faces.face import Pose
from understudy.family import SwapResult
from understudy.jobs.project import new_project
from understudy.jobs.shot import SwapOptions, swap_shot
from understudy.media.clip import open_clip
from understudy.provenance.cast import Consent
from understudy.provenance.record import plain
from understudy.provenance.stamp import read_stamp

FRAMES = range(1001, 1013)


class Painter:
    """Stands in for a model: the result depends on the crop alone."""

    identities = ("anna", "ben")
    size = 48

    def swap(self, crops, identity):
        return SwapResult(crops=np.clip(crops[:, ::-1] * np.array([0.9, 0.5, 0.4], np.float32) + 0.1, 0, 1))


@pytest.fixture
def project(tmp_path):
    import torch

    from understudy.checkpoint import ModelCard, save_checkpoint

    people = {
        "anna": Consent(granted_by="Anna", scope=("train", "render")),
        "ben": Consent(granted_by="B", scope=("train",)),
    }
    project = new_project(tmp_path / "show", identities=people)
    card = ModelCard(family="comb", preset="test", network={"identities": ["anna", "ben"]})
    save_checkpoint(project.runs / "first" / "model.safetensors", {"a": torch.zeros(1)}, card)
    return project


@pytest.fixture
def footage(project, drawn_clip):
    """Write a drawn clip as pictures or a movie: ``footage(script, ".png")`` returns the source and the drawn clip."""

    def make(script, suffix=".png", numbers=FRAMES, dtype=np.uint8):
        drawn = drawn_clip(script, numbers, name="drawn.mov", dtype=dtype)
        if suffix == ".mp4":
            import av

            path = project.footage / "plate.mp4"
            with av.open(str(path), "w") as container:
                stream = container.add_stream("libx264", rate=25, options={"crf": "1"})
                stream.width, stream.height, stream.pix_fmt = *drawn.size, "yuv420p"
                for frame in drawn:
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.pixels, format="rgb24")))
                container.mux(stream.encode())
            return str(path), drawn
        for frame in drawn:
            path = project.footage / f"plate.{frame.number:04d}{suffix}"
            if suffix == ".exr":
                write_exr(path, frame)
            else:
                cv2.imwrite(str(path), frame.pixels[..., ::-1])
        return str(project.footage / f"plate.####{suffix}"), drawn

    return make


def write_exr(path, frame):
    import OpenImageIO as oiio  # noqa: N813

    linear = (frame.pixels / np.iinfo(frame.pixels.dtype).max) ** 2.2 * 1.5 - 0.05
    linear[0, 0] = 50.0
    pixels = np.concatenate([linear, np.full((*linear.shape[:2], 2), [0.5, 7.25])], axis=2).astype(np.float16)
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], 5, "half")
    spec.channelnames = ("R", "G", "B", "A", "Z")
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), spec) and output.write_image(pixels)
    output.close()


@pytest.fixture
def run(project, fake_finder):
    """Swap: ``run(source, drawn, **options)``."""

    def run(source, drawn, *, progress=lambda *step: None, performer=None, measure=None, parser=None, **options):
        options = {"plate": source, "identity": "anna", "project": project.root} | options
        finder = fake_finder(drawn)
        return swap_shot(
            SwapOptions(**options),
            progress,
            performer=performer or Painter(),
            finder=finder,
            measure=measure,
            parser=parser,
        )

    return run


def one(actor):
    return lambda number: [actor(x=150 + 2 * (number % 10), yaw=number % 7)]


def pixels_of(source):
    with open_clip(source) as clip:
        return {frame.number: frame.pixels for frame in clip}


def files_of(report):
    return {path.name: path.read_bytes() for path in sorted(report.output.parent.glob("plate.[0-9]*.png"))}


def stop_after(count):
    def progress(stage, done, total):
        if stage == "swap" and done >= count:
            raise KeyboardInterrupt

    return progress


def test_a_sequence_with_all_it_leaves(run, footage, actor, project):
    source, drawn = footage(one(actor))
    steps = []
    report = run(
        source, drawn, progress=lambda *step: steps.append(step),
        mattes=project.renders / "matte" / "plate.####.png", raw_faces=project.renders / "raw" / "plate.####.exr",
    )  # fmt: skip
    assert report.output == project.renders / "plate_as_anna" / "plate.####.png"
    assert (report.num_frames, report.swapped, report.made, report.passed_through) == (12, 12, 12, ())
    plate, result, mattes, raw = map(pixels_of, (source, report.output, report.mattes, report.raw_faces))
    assert list(plate) == list(result) == list(mattes) == list(raw) == list(FRAMES)
    for number in FRAMES:
        covered = mattes[number][..., 0] > 0
        # A matte below half a step of 16 bits is written as 0.
        near = cv2.dilate(covered.astype(np.uint8), np.ones((3, 3))) > 0
        np.testing.assert_array_equal(result[number][~near], plate[number][~near])
        assert (result[number] != plate[number]).any(axis=-1)[mattes[number][..., 0] == 65535].mean() > 0.9
        assert raw[number].dtype == np.float16 and raw[number].max() > 0.1 and not raw[number][0].any()
    assert {stage for stage, _, _ in steps} >= {"track", "swap"}
    assert [step for step in steps if step[0] == "swap"][-1] == ("swap", 12, 12)
    assert cv2.imread(str(report.sheet)) is not None
    stamp = read_stamp(project.renders / "plate_as_anna" / "plate.1001.png")
    record = json.loads(report.record.read_text())
    assert stamp is not None and stamp.record_sha256 == record["digest"]
    assert record["consent"]["anna"]["granted_by"] == "Anna" and record["digital_source_type"].endswith("Media")
    assert len(record["weights"]) == 2 and record["figures"]["swapped"] == 12
    assert set(report.seconds) == {"track", "perform", "composite", "write", "all"}
    assert report.jitter is not None and report.frames_per_second > 0
    assert json.loads(json.dumps(plain(report)))["swapped"] == 12


def test_the_same_pixels_in_one_go_in_ranges_and_stopped(run, footage, actor, project):
    source, drawn = footage(one(actor))
    whole = files_of(run(source, drawn, output=project.renders / "whole"))
    assert len(whole) == 12
    run(source, drawn, output=project.renders / "parts", first=1001, last=1005)
    parts = files_of(run(source, drawn, output=project.renders / "parts", first=1006))
    assert parts == whole
    with pytest.raises(KeyboardInterrupt):
        run(source, drawn, output=project.renders / "stopped", progress=stop_after(5))
    stopped = project.renders / "stopped"
    assert len(list(stopped.glob("plate.[0-9]*.png"))) == 5
    report = run(source, drawn, output=stopped)
    assert report.made == 7 and report.swapped == 12
    assert files_of(report) == whole
    assert not list(stopped.glob("*.partial"))


def test_other_options_make_other_frames(run, footage, actor, project):
    source, drawn = footage(one(actor), numbers=range(1, 5))
    with pytest.raises(KeyboardInterrupt):
        run(source, drawn, progress=stop_after(2))
    report = run(source, drawn, composite=CompositeOptions(sigma=3.0))
    assert report.made == 4


def test_killed_in_the_middle(footage, actor, project, run, tmp_path):
    source, drawn = footage(one(actor), numbers=range(1, 9))
    script = tmp_path / "child.py"
    script.write_text(
        textwrap.dedent(f"""
        import importlib.util, os, signal, sys
        from pathlib import Path

        def load(name, path):
            spec = importlib.util.spec_from_file_location(name, path)
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module
            spec.loader.exec_module(module)
            return module

        here = Path({str(Path(__file__).parent)!r})
        stand_ins, tests = load("stand_ins", here / "conftest.py"), load("tests", here / "test_shot.py")
        drawn = stand_ins.DrawnClip(Path({str(drawn.source)!r}), tests.one(stand_ins.Actor), range(1, 9))

        def progress(stage, done, total):
            if stage == "swap" and done >= 3:
                os.kill(os.getpid(), signal.SIGKILL)

        tests.swap_shot(
            tests.SwapOptions(plate={source!r}, identity="anna", project=Path({str(project.root)!r})),
            progress, performer=tests.Painter(), finder=stand_ins.FakeFinder(drawn),
        )
        """)
    )
    child = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert child.returncode == -signal.SIGKILL, child.stderr
    report = run(source, drawn)
    assert 1 <= report.made <= 5
    expected = files_of(run(source, drawn, output=project.renders / "whole"))
    assert files_of(report) == expected


def test_a_movie_stays_a_movie(run, footage, actor, project):
    source, drawn = footage(one(actor), ".mp4", numbers=range(1, 11))
    with pytest.raises(KeyboardInterrupt):
        run(source, drawn, progress=stop_after(4))
    report = run(source, drawn)
    assert report.output == project.renders / "plate_as_anna.mp4" and report.made == 6
    plate, result = pixels_of(source), pixels_of(report.output)
    assert list(result) == list(range(1, 11))
    for number in result:
        difference = np.abs(result[number].astype(int) - plate[number])
        assert difference[60:180, 130:190].mean() > 5 and difference[:, :60].mean() < 2
    assert read_stamp(report.output) is not None
    part = run(source, drawn, first=4, last=6, output=project.renders / "part.mp4")
    assert part.num_frames == 3 and len(pixels_of(part.output)) == 3 and part.sheet is not None


def test_exr_keeps_highlights_channels_and_everything_else(run, footage, actor):
    source, drawn = footage(one(actor), ".exr", numbers=range(1, 4))
    report = run(source, drawn)
    plate, result = pixels_of(source), pixels_of(report.output)
    for number in plate:
        assert result[number].dtype == np.float16 and result[number].shape[2] == 5
        np.testing.assert_array_equal(result[number][..., 3:], plate[number][..., 3:])
        np.testing.assert_array_equal(result[number][:20], plate[number][:20])
        assert result[number][0, 0, 0] == 50 and plate[number].min() < 0
        assert (result[number] != plate[number]).any(axis=-1).mean() > 0.05


def test_what_stands_before_the_face_is_kept(run, footage, actor, project):
    from understudy.faces.regions import Region

    class Parser:
        """Calls the left half of every crop hair."""

        size, oval_share, source = 64, 0.42, None

        def parse(self, crops, guides=None):
            shares = np.zeros((*crops.shape[:3], len(Region)), np.float32)
            shares[..., Region.SKIN] = 1
            # The second of a pair is mirrored.
            shares[0, :, :32] = shares[1, :, 32:] = np.eye(len(Region), dtype=np.float32)[Region.HAIR]
            return shares

    source, drawn = footage(lambda number: [actor(x=160)], numbers=[1001])
    free = run(source, drawn, output=project.renders / "free" / "plate.####.png")
    kept = run(source, drawn, output=project.renders / "kept" / "plate.####.png", occlusion="regions", parser=Parser())
    plate, without, with_it = (pixels_of(path)[1001] for path in (source, free.output, kept.output))
    left, right = np.s_[:, :150], np.s_[:, 170:]
    assert (without[left] != plate[left]).any()
    np.testing.assert_array_equal(with_it[left], plate[left])
    assert (with_it[right] != plate[right]).any()


def test_frames_without_a_usable_face_pass_and_are_listed(run, footage, actor):
    def script(number):
        if number == 1003:
            return []
        if number == 1005:
            return [actor(yaw=85)]
        if number == 1007:
            return [actor(x=-30)]
        return [actor()]

    source, drawn = footage(script)
    report = run(source, drawn)
    assert [frame.number for frame in report.passed_through] == [1003, 1005, 1007]
    reasons = [frame.reason for frame in report.passed_through]
    assert reasons[0] == "no face found" and "profile" in reasons[1] and "half out of frame" in reasons[2]
    for number in (1003, 1005, 1007):
        written = report.output.with_name(f"plate.{number}.png")
        assert written.read_bytes() == Path(source).with_name(f"plate.{number}.png").read_bytes()
    assert report.swapped == 9


def test_two_people_need_a_choice(run, footage, actor):
    source, drawn = footage(lambda number: [actor(x=90, height=110), actor(track=1, x=240, height=90)])
    with pytest.raises(FaceError, match=r"2 people.*--person NUMBER, or --everyone.*people\.png"):
        run(source, drawn)
    report = run(source, drawn, person=(2,))
    plate, result = pixels_of(source), pixels_of(report.output)
    changed = (plate[1001] != result[1001]).any(axis=-1)
    assert not changed[:, :160].any() and changed[:, 200:280].any()
    assert report.people_sheet is not None and report.people_sheet.exists()
    report = run(source, drawn, everyone=True)
    changed = (plate[1001] != pixels_of(report.output)[1001]).any(axis=-1)
    assert changed[:, :160].any() and changed[:, 200:280].any()
    with pytest.raises(OptionError, match="--person 7"):
        run(source, drawn, person=(7,))
    with pytest.raises(OptionError, match="exclude"):
        SwapOptions(plate="x", identity="anna", person=(1,), everyone=True)


def test_nobody_there(run, footage, actor):
    source, drawn = footage(lambda number: [])
    with pytest.raises(FaceError, match="No face"):
        run(source, drawn)


def test_nobody_usable(run, footage, actor):
    source, drawn = footage(lambda number: [actor(yaw=85)])
    with pytest.raises(FaceError, match="usable face: profile"):
        run(source, drawn)


def test_consent_comes_first(run, footage, actor, project, tmp_path):
    source, drawn = footage(one(actor), numbers=range(1, 3))
    with pytest.raises(ConsentError, match="render"):
        run(source, drawn, identity="ben")
    with pytest.raises(ConsentError):
        swap_shot(
            SwapOptions(
                plate=source, identity="anna", run=str(project.runs / "first"), output=tmp_path / "out.####.png",
                project=None,
            ),
            performer=Painter(),
        )  # fmt: skip


def test_names_that_are_not_there(run, footage, actor, project):
    source, drawn = footage(one(actor), numbers=range(1, 3))
    with pytest.raises(OptionError, match="--run second.*first"):
        run(source, drawn, run="second")
    with pytest.raises(OptionError, match="--project"):
        run(source, drawn, project=project.root.parent)
    with pytest.raises(OptionError, match="knows this name.*anna, ben"):
        run(source, drawn, identity="zoe")
    with pytest.raises(MediaError):
        run(str(project.footage / "other.mp4"), drawn)


def test_a_still_and_a_gray_plate(run, footage, actor, project):
    source, drawn = footage(one(actor), numbers=range(7, 8), dtype=np.uint16)
    gray = project.footage / "gray.png"
    cv2.imwrite(str(gray), cv2.imread(source.replace("####", "0007"), cv2.IMREAD_UNCHANGED)[..., 1])
    drawn.numbers = [1]
    drawn.script = lambda number: one(actor)(7)
    report = run(str(gray), drawn)
    assert report.output == project.renders / "gray_as_anna.png"
    (before,), (after,) = pixels_of(gray).values(), pixels_of(report.output).values()
    assert after.dtype == np.uint16 and after.shape == before.shape and after.shape[2] == 1
    assert (before != after).mean() > 0.05
    np.testing.assert_array_equal(before[:20], after[:20])


def test_the_plate_is_never_written_over(run, footage, actor, project):
    source, drawn = footage(one(actor), numbers=range(1, 3))
    with pytest.raises(MediaError, match="plate itself"):
        run(source, drawn, output=Path(source))
    with pytest.raises((OptionError, MediaError), match="pattern"):
        run(source, drawn, mattes=project.renders / "matte.png")


@pytest.mark.parametrize(("field", "value"), [("steady", -1), ("steady", 99), ("min_visible", 2.0), ("max_yaw", 0.0)])
def test_options_out_of_range(field, value):
    with pytest.raises(OptionError, match=f"--{field.replace('_', '-')}"):
        SwapOptions(plate="x", identity="anna", **{field: value})


def test_the_performers_own_detail_comes_from_their_gathered_faces(run, footage, actor, project):
    """The record says from how many pictures; without footage, or against the user's wish, the swap goes on without."""
    source, drawn = footage(one(actor), numbers=range(1, 4))
    measure = lambda crops, near: list(near)  # noqa: E731

    def swap(name, **options):
        report = run(source, drawn, measure=measure, output=project.renders / name / "plate.####.png", **options)
        record = json.loads(report.record.read_text())
        return pixels_of(str(report.output))[2], record["options"]["own_detail_pictures"]

    without, none = swap("without")
    numbers = np.random.default_rng(0)
    with FaceSet.create(project.faces("anna"), 64) as faces:
        for number in range(2):
            faces.add(
                clip="take",
                number=number,
                track=0,
                picture=numbers.integers(0, 256, (64, 64, 3), dtype=np.uint8),
                mask=np.ones((64, 64), np.float32),
                landmarks=64 * (0.6 * mean_mesh()[:, :2] + 0.5),
                transform=np.eye(2, 3),
                pose=Pose(yaw=0, pitch=0, roll=0),
                plate_pixels=64.0,
            )
        names = [entry.name for entry in faces.entries()]
    detailed, two = swap("detailed")
    unwanted, off = swap("unwanted", composite=CompositeOptions(own_detail=0.0))
    assert (none, two, off) == (0, 2, 0)
    assert not np.array_equal(detailed, without)
    np.testing.assert_array_equal(unwanted, without)
    with FaceSet.open(project.faces("anna")) as faces:
        faces.drop(names)
    emptied, nothing = swap("emptied")
    assert nothing == 0
    np.testing.assert_array_equal(emptied, without)
