"""A still brought to life, from file to file, with stand-ins for the face models and the network."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from fractions import Fraction

import cv2
import numpy as np
import pytest

from understudy.composite.motion import warp_by_motion
from understudy.errors import ConsentError, FaceError, MediaError, OptionError
from understudy.faces.action_units import COUNT, EXPRESSIONS, ActionUnit
from understudy.faces.align import fit_mesh, mean_mesh
from understudy.faces.curves import Curves, write_curves
from understudy.faces.face import Face
from understudy.family import AnimateResult
from understudy.jobs.animate import AnimateOptions, animate_still
from understudy.jobs.options_track import TrackOptions
from understudy.jobs.project import new_project
from understudy.media.clip import open_clip
from understudy.provenance.cast import Consent
from understudy.provenance.record import plain
from understudy.provenance.stamp import read_stamp

SMILE = ActionUnit.AU12


class Mover:
    """Stands in for a model: smiling moves the middle of the crop up, opened lips brighten it; and it has a habit of its own."""

    size, signals, expressions, oval_share = 32, frozenset({"units"}), (), 0.5

    def __init__(self):
        self.rows = 0

    def animate(self, still, drive):
        ramp = np.sin((np.arange(32) + 0.5) / 32 * np.pi).astype(np.float32) ** 2
        bump = np.outer(ramp, ramp)
        crops, motions = [], []
        for strength, units in zip(drive.strength, drive.units, strict=True):
            self.rows += 1
            motion = np.zeros((32, 32, 2), np.float32)
            motion[..., 1] = strength * (0.01 + 0.015 * units[SMILE]) * bump
            opened = strength * units[ActionUnit.AU25] * 0.05 * bump
            crops.append(np.clip(0.9 * warp_by_motion(still, motion) + 0.02 + opened[..., None], 0, 1))
            motions.append(motion)
        return AnimateResult(crops=np.stack(crops), motion=np.stack(motions))


class Named(Mover):
    """Knows expressions by name only."""

    signals, expressions = frozenset({"expression"}), ("happy", "sad")

    def animate(self, still, drive):
        assert drive.units is None and drive.expression in self.expressions
        self.rows += len(drive.strength)
        motion = np.zeros((len(drive.strength), 32, 32, 2), np.float32)
        motion[:, 8:24, 8:24, 1] = 0.05 * drive.strength[:, None, None]
        return AnimateResult(crops=np.stack([warp_by_motion(still, one) for one in motion]), motion=motion)


@dataclass
class Finder:
    """Finds faces where it is told: (x, y, height, yaw) by picture size, and of clips by place."""

    faces: dict
    weights: dict = field(default_factory=lambda: {"models.task": "ab" * 32})

    def follow(self, frames):
        for place, (number, picture) in enumerate(frames):
            found = self.faces[picture.shape[1], picture.shape[0]]
            yield number, [face(track, *one) for track, one in enumerate(found(place) if callable(found) else found)]

    def stabilise(self, picture, faces, perturbations):
        return np.stack([one.landmarks for one in faces])


def face(track, x, y, height, yaw=0.0, roll=0.0, size=(320, 240)):
    turn, tilt = math.radians(yaw), math.radians(roll)
    about_y = np.array([[math.cos(turn), 0, -math.sin(turn)], [0, 1, 0], [math.sin(turn), 0, math.cos(turn)]])
    about_z = np.array([[math.cos(tilt), -math.sin(tilt), 0], [math.sin(tilt), math.cos(tilt), 0], [0, 0, 1]])
    points = (height * mean_mesh() @ (about_z @ about_y).T + (x, y, 0)).astype(np.float32)
    inside = ((points[:, :2] >= 0) & (points[:, :2] <= size)).all(axis=1).mean()
    box = np.concatenate([points[:, :2].min(axis=0), points[:, :2].max(axis=0)])
    return Face(
        box=box, landmarks=points, score=0.9, pose=fit_mesh(points).pose, track=track, visible=float(inside)
    )  # fmt: skip


class Reader:
    """Reads a face as smiling as much as it is high: 100 px are neutral to anybody, and at rest are the smallest."""

    def measure(self, landmarks, rest=None):
        units = np.zeros((len(landmarks), COUNT), np.float32)
        height = landmarks[:, 152, 1] - landmarks[:, 10, 1]
        units[:, SMILE] = np.clip((height - (height_of(100) if rest is None else rest)) / 4, 0, 5)
        return units

    def rest_of(self, landmarks):
        return (landmarks[:, 152, 1] - landmarks[:, 10, 1]).min()

    def quiet_of(self, landmarks):
        return np.argsort(landmarks[:, 152, 1] - landmarks[:, 10, 1])[:1]


def height_of(pixels):
    return pixels * float(mean_mesh()[152, 1] - mean_mesh()[10, 1])


def drawn(width=320, height=240, channels=3, dtype=np.uint8, seed=0):
    random = np.random.default_rng(seed)
    view = sum(
        cv2.resize(random.random((side, side, channels)), (width, height), interpolation=cv2.INTER_CUBIC)
        for side in (5, 20, 80)
    ).reshape(height, width, channels)
    view = np.clip(view / 3, 0.02, 0.98)
    return np.round(view * np.iinfo(dtype).max).astype(dtype) if np.dtype(dtype).kind == "u" else view.astype(dtype)


def write_exr(path, pixels, names):
    import OpenImageIO as oiio  # noqa: N813

    spec = oiio.ImageSpec(
        pixels.shape[1], pixels.shape[0], pixels.shape[2], {2: "half", 4: "float"}[pixels.dtype.itemsize]
    )
    spec.channelnames = names
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), spec) and output.write_image(pixels)
    output.close()


@pytest.fixture
def project(tmp_path):
    people = {
        "anna": Consent(granted_by="Anna", scope=("train", "render")),
        "ben": Consent(granted_by="B", scope=("train",)),
    }
    return new_project(tmp_path / "show", identities=people)


@pytest.fixture
def portrait(project):
    path = project.footage / "portrait.png"
    cv2.imwrite(str(path), drawn())
    return path


@pytest.fixture
def run(project):
    """Animate: ``run(still, **options)``; the face is in the middle unless ``faces`` says otherwise."""

    def run(still, *, faces=None, animator=None, progress=lambda *step: None, **options):
        options = {"still": str(still), "identity": "anna", "project": project.root} | options
        finder = Finder({(320, 240): [(160, 120, 100)]} | (faces or {}), {"models.task": repr(faces)})
        return animate_still(
            AnimateOptions(**options), progress, animator=animator or Mover(), finder=finder, reader=Reader()
        )

    return run


def pixels_of(source):
    with open_clip(source) as clip:
        return {frame.number: frame.pixels for frame in clip}


def test_a_smile_as_a_sequence(run, portrait, project):
    steps, mover = [], Mover()
    report = run(
        portrait, expression="smile", fps=12, output=project.renders / "s" / "smile.####.png", animator=mover,
        progress=lambda *step: steps.append(step),
    )  # fmt: skip
    still = pixels_of(portrait)[1]
    result = pixels_of(report.output)
    assert list(result) == list(range(1, 31)) and report.num_frames == report.made == 30 and report.rate == 12
    np.testing.assert_array_equal(result[1], still)
    np.testing.assert_array_equal(result[30], still)
    assert (project.renders / "s" / "smile.0001.png").read_bytes() == portrait.read_bytes()
    x0, y0, x1, y1 = report.window
    assert report.head_side == pytest.approx(200, abs=1) and 200 <= x1 - x0 <= 202 and 200 <= y1 - y0 <= 202
    outside = np.ones(still.shape[:2], bool)
    outside[y0:y1, x0:x1] = False
    changes = []
    for number in result:
        np.testing.assert_array_equal(result[number][outside], still[outside])
        changes.append(np.abs(result[number].astype(int) - still).mean())
    peak = int(np.argmax(changes))
    assert 9 <= peak <= 20 and changes[peak] > 1
    assert (np.diff(changes[:peak]) >= -0.02).all(), "it rises without popping"
    assert changes[1] < 0.2 * changes[peak], (
        "the second frame is nearly the still: the network's own habit is taken off"
    )
    assert mover.rows < 30, "frames that hold are made once"
    assert {stage for stage, _, _ in steps} >= {"track", "animate"} and steps[-1] == ("animate", 30, 30)
    assert cv2.imread(str(report.sheet)) is not None
    record = json.loads(report.record.read_text())
    stamp = read_stamp(project.renders / "s" / "smile.0015.png")
    assert stamp is not None and stamp.record_sha256 == record["digest"]
    assert record["consent"]["anna"]["granted_by"] == "Anna" and str(portrait) in record["inputs"]
    assert set(report.seconds) == {"track", "perform", "composite", "write", "all"} and report.frames_per_second > 0
    assert json.loads(json.dumps(plain(report)))["num_frames"] == 30


def test_stopped_and_gone_on_with_gives_the_same_files(run, portrait, project):
    def stop(stage, done, total):
        if stage == "animate" and done == 5:
            raise KeyboardInterrupt

    options = {"expression": "smile", "frames": 12}
    whole = run(portrait, output=project.renders / "whole" / "a.####.png", **options)
    with pytest.raises(KeyboardInterrupt):
        run(portrait, output=project.renders / "parts" / "a.####.png", progress=stop, **options)
    report = run(portrait, output=project.renders / "parts" / "a.####.png", **options)
    assert report.made == 7 and whole.made == 12
    names = [f"a.{number:04d}.png" for number in range(1, 13)]
    for name in names:
        assert (project.renders / "parts" / name).read_bytes() == (project.renders / "whole" / name).read_bytes()


def test_timing_strength_rate_and_numbers(run, portrait, project):
    weak = run(
        portrait, expression="smile", strength=0.3, rise=0.2, hold=0.0, fall=0.0, fps="24000/1001", start=1001,
        output=project.renders / "weak.####.png",
    )  # fmt: skip
    full = run(portrait, expression="smile", rise=0.2, fall=0, hold=0, output=project.renders / "full.####.png")
    assert weak.rate == Fraction(24000, 1001)
    still, weakly, fully = pixels_of(portrait)[1], pixels_of(weak.output), pixels_of(full.output)
    assert list(weakly) == list(range(1001, 1007))
    change = [np.abs(last.astype(int) - still).mean() for last in (weakly[1006], fully[6])]
    assert 0 < change[0] < 0.6 * change[1]


def test_one_picture_is_the_full_expression(run, portrait, project):
    report = run(portrait, expression="smile", output=project.renders / "smile.png")
    assert report.num_frames == 1
    assert np.abs(pixels_of(report.output)[1].astype(int) - pixels_of(portrait)[1]).mean() > 1


def test_a_movie_of_an_odd_size(run, project):
    path = project.footage / "odd.png"
    cv2.imwrite(str(path), drawn(321, 243))
    report = run(path, expression="smile", frames=6, faces={(321, 243): [(160, 120, 100)]})
    assert report.output == project.renders / "odd_smile.mp4"
    with open_clip(report.output) as clip:
        assert clip.size == (321, 243) and len(clip) == 6 and clip.rate == 24
        first = clip.frame(1).pixels.astype(int)
    luma = (first - pixels_of(path)[1]) @ (0.2126, 0.7152, 0.0722)  # the movie's chroma is coarser than this still's
    assert np.abs(luma).mean() < 2
    assert read_stamp(report.output) is not None


@pytest.mark.parametrize("roll", [0.0, 12.0, -35.0, 90.0])
def test_a_head_at_any_angle(run, portrait, project, roll):
    report = run(
        portrait, expression="smile", frames=3, fall=0.0, hold=0, output=project.renders / "a.####.png",
        faces={(320, 240): [(160, 120, 60, 0.0, roll)]},
    )  # fmt: skip
    result, still = pixels_of(report.output), pixels_of(portrait)[1]
    np.testing.assert_array_equal(result[1], still)
    changed = (result[3] != still).any(axis=-1)
    assert changed[100:140, 140:180].mean() > 0.5
    rows, columns = np.nonzero(changed)
    assert np.hypot(columns + 0.5 - 160, rows + 0.5 - 120).max() < 120 * math.sqrt(0.5) + 10


def test_sixteen_bit_with_alpha_keeps_both(run, project):
    path = project.footage / "deep.png"
    pixels = np.concatenate([drawn(dtype=np.uint16), np.full((240, 320, 1), 65535, np.uint16)], axis=2)
    pixels[130:, :, 3] = 0  # cut out at the chin
    pixels[200:, :, :3] = 0
    cv2.imwrite(str(path), pixels)
    report = run(path, expression="smile", frames=5, output=project.renders / "deep.####.png")
    result, still = pixels_of(report.output), pixels_of(path)[1]
    assert result[3].dtype == np.uint16 and result[3].shape[2] == 4
    np.testing.assert_array_equal(result[1], still)
    assert (result[3][..., :3] != still[..., :3]).any()
    cut = still[:, 160, 3].argmin(), result[3][:, 160, 3].argmin()
    assert cut[0] == 130 and cut[1] < 130, "the cut-out's edge moves with the head"
    assert result[3][cut[1] - 6, 160, :3].min() > 0.02 * 65535, "and no hidden black comes into sight"


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_scene_linear_values_beyond_white_and_below_black(run, project, dtype):
    path = project.footage / "linear.exr"
    pixels = np.concatenate([drawn(dtype=np.float32) ** 2.2, np.full((240, 320, 2), [1.0, 7.25], np.float32)], axis=2)
    pixels[118:122, 158:162, :3] = 30.0
    pixels[100, 150, :3] = -0.25
    pixels[110, 170, 0] = np.nan
    pixels[5, 5, 1] = np.inf
    write_exr(path, pixels.astype(dtype), ("R", "G", "B", "A", "Z"))
    report = run(path, expression="smile", frames=5, output=project.renders / "linear.####.exr")
    result, still = pixels_of(report.output), pixels_of(path)[1]
    assert result[3].dtype == dtype
    bits = np.uint16 if dtype == np.float16 else np.uint32
    np.testing.assert_array_equal(result[1].view(bits), still.view(bits))
    x0, y0, x1, y1 = report.window
    outside = np.ones(still.shape[:2], bool)
    outside[y0:y1, x0:x1] = False
    np.testing.assert_array_equal(result[3].view(bits)[outside], still.view(bits)[outside])
    np.testing.assert_array_equal(result[3][..., 4], still[..., 4])
    assert np.nanmax(result[3][80:121, 150:170, :3]) > 15 and np.nanmin(result[3][..., :3]) < -0.03
    assert "2 pixels of the still are NaN or infinite" in " ".join(report.notes)


def test_gray_pictures(run, project):
    path = project.footage / "gray.png"
    cv2.imwrite(str(path), drawn(channels=1, dtype=np.uint16)[..., 0])
    report = run(path, expression="smile", frames=3, fall=0, output=project.renders / "gray.####.png")
    result = pixels_of(report.output)
    assert result[3].shape == (240, 320, 1) and result[3].dtype == np.uint16 and (result[3] != result[1]).any()


def test_a_face_at_the_border(run, portrait, project):
    report = run(
        portrait, expression="smile", frames=3, fall=0, output=project.renders / "edge.####.png",
        faces={(320, 240): [(30, 120, 100)]},
    )  # fmt: skip
    assert report.window[0] == 0 and any("edge was repeated" in note for note in report.notes)
    assert any("of the face lies outside" in note for note in report.notes)
    result = pixels_of(report.output)
    assert result[3].shape == (240, 320, 3) and (result[3][100:140, :40] != result[1][100:140, :40]).any()


@pytest.mark.parametrize(
    ("faces", "options", "said"),
    [
        ([], {}, "No face was found"),
        ([(-45, 120, 100)], {}, "lower it"),
        ([(160, 120, 100, 70.0)], {}, "turned by 70°, over --max-yaw 60"),
        ([(80, 120, 90), (240, 120, 60)], {}, r"2 faces: 1 \(about 132 px\), 2 \(about 88 px\).*--person NUMBER"),
        ([(80, 120, 90), (240, 120, 60)], {"person": 3}, "--person 3 is nobody"),
    ],
)
def test_stills_that_cannot_be_used_are_a_sentence(run, portrait, project, faces, options, said):
    with pytest.raises((FaceError, OptionError), match=said):
        run(portrait, expression="smile", faces={(320, 240): faces}, output=project.renders / "a.png", **options)
    assert not (project.renders / "a.png").exists()


def test_one_of_several_faces(run, portrait, project):
    report = run(
        portrait, expression="smile", person=2, output=project.renders / "second.png",
        faces={(320, 240): [(80, 120, 90), (240, 120, 60)]},
    )  # fmt: skip
    changed = (pixels_of(report.output)[1] != pixels_of(portrait)[1]).any(axis=-1)
    assert changed[:, 200:].any() and not changed[:, :160].any()
    assert report.people_sheet is not None and cv2.imread(str(report.people_sheet)) is not None


# -- a driving clip ----------------------------------------------------------------------------------------------------


@pytest.fixture
def take(project):
    """A driving sequence of another size, frames 101 to 130."""
    folder = project.footage / "take"
    folder.mkdir()
    for number in range(101, 131):
        cv2.imwrite(str(folder / f"take.{number:04d}.png"), drawn(160, 120, seed=number))
    return f"{folder}/take.####.png"


def smiling(place):
    """Neutral, then a smile; the face is lost from the 11th frame to the 14th, turned away in the 20th, gone at the end."""
    if 10 <= place < 14 or place >= 28:
        return []
    height = 100 + 16 * float(np.clip((place - 5) / 5, 0, 1))
    return [(80, 60, height, 80.0 if place == 19 else 0.0)]


def test_a_driving_clip_that_loses_its_face_now_and_then(run, portrait, project, take):
    report = run(
        portrait, drive=take, output=project.renders / "driven.####.png", faces={(160, 120): smiling}, neutral="first",
        min_visible=0.0, ease=0.1, track=TrackOptions(smooth=False),
    )  # fmt: skip
    result, still = pixels_of(report.output), pixels_of(portrait)[1]
    assert list(result) == list(range(101, 131)), "the drive's own numbers"
    np.testing.assert_array_equal(result[101], still)
    change = {number: np.abs(result[number].astype(int) - still).mean() for number in result}
    assert max(change[number] for number in range(102, 105)) < 0.1 * change[118], "neutral to begin with"
    for number in range(111, 131):
        assert change[number] == pytest.approx(change[118], rel=0.1), "held while the face is away"
    filled = {frame.number: frame.reason for frame in report.filled}
    assert sorted(filled) == [111, 112, 113, 114, 120, 129, 130]
    assert filled[111] == "no face found" and filled[120].startswith("profile: turned by 80°")
    record = json.loads(report.record.read_text())
    assert take in record["inputs"] and len(record["figures"]["filled"]) == 7


def test_another_rate_and_a_gap_in_the_footage(run, portrait, project, take):
    (project.footage / "take" / "take.0107.png").unlink()
    report = run(
        portrait, drive=take, fps=12, output=project.renders / "slow.####.png",
        faces={(160, 120): lambda place: [(80, 60, 100)]}, min_visible=0,
    )  # fmt: skip
    assert report.num_frames == 15 and report.rate == 12
    assert [(frame.number, frame.reason) for frame in report.filled] == [(107, "the clip lacks this frame")]


def test_driving_clips_that_cannot_be_used_are_a_sentence(run, portrait, project, take):
    def drive(faces, **options):
        return run(portrait, drive=take, faces={(160, 120): faces}, output=project.renders / "a.####.png", **options)

    with pytest.raises(FaceError, match="No face was found in the 30 frames"):
        drive([])
    with pytest.raises(FaceError, match="No frame of the driving clip.*profile"):
        drive([(80, 60, 60, 80.0)])
    with pytest.raises(FaceError, match="several people: say who drives the still with --performer NUMBER"):
        drive([(40, 60, 40), (120, 60, 40)])
    with pytest.raises(OptionError, match="--performer 5 is nobody"):
        drive([(40, 60, 40), (120, 60, 40)], performer=(5,))
    report = drive([(40, 60, 40), (120, 60, 40)], performer=(2,), frames=2)
    assert report.performer_sheet is not None
    with pytest.raises(OptionError, match="--neutral 7: the frames go from 101 to 130"):
        drive([(80, 60, 60)], neutral="7")
    with pytest.raises(OptionError, match=r"--neutral 112: frame 112 holds no face.*no face found"):
        drive(smiling, neutral="112", min_visible=0)


@pytest.mark.parametrize(("neutral", "smiles"), [("auto", 0), ("first", 0), ("101", 0), ("none", 2)])
def test_a_performer_who_smiles_at_rest(project, take, neutral, smiles):
    from understudy.jobs.performance import by_curves, units_of_clip
    from understudy.jobs.track import track_clip

    options = AnimateOptions(still="a.png", drive=take, neutral=neutral, ease=0)
    with (
        open_clip(take) as clip,
        track_clip(clip, finder=Finder({(160, 120): [(80, 60, 100 + 8 / height_of(1))]})) as faces,
    ):
        curves, _ = units_of_clip(faces, [0], Reader(), neutral=neutral)
    drive = by_curves(options, curves, np.zeros(COUNT, np.float32)).drive
    assert drive.units is not None and drive.units[0, SMILE] == pytest.approx(smiles, abs=0.01)


# -- curves ------------------------------------------------------------------------------------------------------------


def curves_of(path, rows, missing=(), first=1001, rate=Fraction(25)):
    units = np.zeros((len(rows), COUNT), np.float32)
    units[:, SMILE] = rows
    gaps = np.isin(np.arange(len(rows)), missing)
    write_curves(
        path, Curves(numbers=np.arange(first, first + len(rows)), rate=rate, units=units, missing=gaps, source="")
    )
    return path


def test_curves_with_gaps(run, portrait, project, tmp_path):
    path = curves_of(tmp_path / "take.csv", [0, 0, 1, 2, 3, 4, 4, 4], missing=(3, 4))
    report = run(portrait, curves=path, ease=0.0, output=project.renders / "c.####.png")
    result, still = pixels_of(report.output), pixels_of(portrait)[1]
    assert list(result) == list(range(1001, 1009)) and report.rate == 25
    np.testing.assert_array_equal(result[1001], still)
    change = [np.abs(frame.astype(int) - still).mean() for frame in result.values()]
    assert change[2] < change[3] < change[4] < change[5] == change[7]
    assert [(frame.number, frame.reason) for frame in report.filled] == [
        (1004, "a gap in the curves"), (1005, "a gap in the curves"),
    ]  # fmt: skip


def test_curves_are_laid_on_the_stills_own_expression_or_replace_it(run, portrait, project, tmp_path):
    path = curves_of(tmp_path / "rest.csv", [0, 0, 0])
    smiles = {"faces": {(320, 240): [(160, 120, 110)]}, "ease": 0.0}
    still = pixels_of(portrait)[1]
    stays = run(portrait, curves=path, output=project.renders / "stays.####.png", **smiles)
    np.testing.assert_array_equal(pixels_of(stays.output)[1003], still)
    falls = run(portrait, curves=path, output=project.renders / "falls.####.png", neutral="none", **smiles)
    assert (pixels_of(falls.output)[1003] != still).any()


def test_curves_cut_or_held(run, portrait, project, tmp_path):
    path = curves_of(tmp_path / "take.json", [0, 2, 4])
    assert run(portrait, curves=path, frames=2, output=project.renders / "cut.####.png").num_frames == 2
    held = run(portrait, curves=path, frames=5, ease=0, output=project.renders / "held.####.png")
    result = pixels_of(held.output)
    np.testing.assert_array_equal(result[1003], result[1005])


def test_curves_with_an_unknown_unit_are_a_sentence(run, portrait, project, tmp_path):
    path = tmp_path / "odd.csv"
    path.write_text("frame,AU12_r,AU99_r\n1,0,0\n")
    with pytest.raises(MediaError, match="AU99"):
        run(portrait, curves=path, output=project.renders / "a.####.png")


# -- who, and which model ----------------------------------------------------------------------------------------------


def test_consent_comes_from_the_cast_a_file_or_beside_the_still(run, portrait, project, tmp_path):
    options = {"expression": "smile", "output": tmp_path / "a.png"}
    with pytest.raises(ConsentError, match="does not allow to render 'ben'"):
        run(portrait, identity="ben", **options)
    with pytest.raises(OptionError, match="--identity; the cast is anna, ben"):
        run(portrait, identity=None, **options)
    outside = tmp_path / "elsewhere.png"
    cv2.imwrite(str(outside), drawn())
    alone = {"project": None, "identity": None}
    with pytest.raises(ConsentError, match="elsewhere.consent.toml beside it"):
        run(outside, **alone, **options)
    (tmp_path / "elsewhere.consent.toml").write_text("synthetic = true\n")
    record = json.loads(run(outside, **alone, **options).record.read_text())
    assert record["consent"]["elsewhere"]["synthetic"] is True
    (tmp_path / "other.toml").write_text('granted_by = "Zoe"\nscope = ["train"]\n')
    with pytest.raises(ConsentError, match="does not allow to render"):
        run(outside, consent=tmp_path / "other.toml", **alone, **options)
    with pytest.raises(OptionError, match="--output"):
        run(outside, expression="smile", **alone)


def test_models_that_know_names_only(run, portrait, project, tmp_path):
    report = run(portrait, expression="happy", animator=Named(), output=project.renders / "a.png")
    assert (pixels_of(report.output)[1] != pixels_of(portrait)[1]).any()
    with pytest.raises(OptionError, match="this model knows happy, sad"):
        run(portrait, expression="smile", animator=Named(), output=project.renders / "b.png")
    with pytest.raises(OptionError, match="driven by expression, not by action units"):
        run(portrait, curves=curves_of(tmp_path / "c.csv", [0, 1]), animator=Named(), output=project.renders / "b.png")
    with pytest.raises(OptionError, match=r"this model knows .*smile"):
        run(portrait, expression="grin", output=project.renders / "b.png")


def test_a_clip_is_no_still_and_the_still_is_never_overwritten(run, portrait, project, take):
    with pytest.raises(MediaError, match="is a sequence; a still to animate is one picture.*--drive"):
        run(take, expression="smile", output=project.renders / "a.png")
    with pytest.raises(MediaError, match="so that the plate survives"):
        run(portrait, expression="smile", output=portrait)


@pytest.mark.parametrize("expression", sorted(set(EXPRESSIONS) - {"neutral"}))
def test_every_named_expression_is_asked_for_by_units(expression):
    from understudy.jobs.performance import by_expression

    options = AnimateOptions(still="a.png", expression=expression)
    performance = by_expression(options, Mover(), np.zeros(COUNT, np.float32))
    assert performance.drive.units is not None
    np.testing.assert_allclose(performance.drive.units[0], EXPRESSIONS[expression], atol=1e-6)
    assert performance.drive.strength[0] == performance.drive.strength[-1] == 0


def test_a_blink_leaves_a_smile_and_sadness_replaces_it():
    from understudy.jobs.performance import by_expression

    own = np.zeros(COUNT, np.float32)
    own[SMILE] = 3.0

    def smile_left(name):
        units = by_expression(AnimateOptions(still="a.png", expression=name), Mover(), own).drive.units
        assert units is not None
        return units[0, SMILE]

    assert smile_left("blink") == 3.0 and smile_left("sad") == 1.0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "none was given"),
        ({"expression": "smile", "drive": "a.mp4"}, "--expression and --drive exclude each other"),
        ({"expression": "smile", "strength": 3}, "--strength must lie between 0 and 2"),
        ({"expression": "smile", "rise": -1}, "--rise"),
        ({"expression": "smile", "fps": "many"}, "--fps must be a rate"),
        ({"expression": "smile", "fps": "24/0"}, "--fps must be a rate"),
        ({"expression": "smile", "frames": 0}, "--frames"),
        ({"expression": "smile", "neutral": "soon"}, "--neutral must be auto"),
        ({"expression": "smile", "margin": 0.7}, "--margin"),
        ({"expression": "smile", "strength": float("nan")}, "--strength"),
    ],
)
def test_options_out_of_range_are_a_sentence(options, said):
    with pytest.raises(OptionError, match=said):
        AnimateOptions(still="a.png", **options)


def test_the_report_for_a_person(run, portrait, project):
    from understudy.cli.animate import COMMAND

    report = run(portrait, expression="smile", frames=2, output=project.renders / "a.####.png")
    text = COMMAND.show(report)
    assert "2 frames at 24/s" in text and "sheet" in text
