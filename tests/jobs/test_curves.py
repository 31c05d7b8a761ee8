"""Footage to action-unit curves, with drawn faces that open their mouths in place of the face models."""

from __future__ import annotations

import json
from fractions import Fraction

import cv2
import numpy as np
import pytest

from understudy.cli import main
from understudy.errors import FaceError, MediaError, OptionError
from understudy.faces.action_units import ActionUnit, ActionUnitModel
from understudy.faces.align import fit_mesh, mean_mesh
from understudy.faces.curves import Curves, read_curves, write_curves
from understudy.faces.face import Face
from understudy.faces.topology import LIPS_INNER
from understudy.jobs.curves import CurvesOptions, measure_curves
from understudy.jobs.curves_plot import draw_curves
from understudy.jobs.options_track import TrackOptions

PLAIN = TrackOptions(stabilise=False)
LIPS, JAW = ActionUnit.AU25, ActionUnit.AU26


class Reader:
    """The packaged model, without blendshapes."""

    def __init__(self):
        self.model = ActionUnitModel.packaged()

    def measure(self, landmarks, rest=None):
        return self.model.measure(landmarks, rest=rest)

    def rest_of(self, landmarks):
        return self.model.rest_of(landmarks)


class Finder:
    """Finds a face in every frame of a script: number -> (opening of the mouth, yaw in degrees) by track."""

    weights: dict[str, str] = {}

    def __init__(self, script):
        self.script = script

    def follow(self, frames):
        for number, _ in frames:
            yield number, [drawn_face(track, *how) for track, how in self.script.get(number, {}).items()]

    def stabilise(self, picture, faces, perturbations):
        return np.stack([face.landmarks for face in faces])


def drawn_face(track, opening, yaw):
    mesh = mean_mesh().copy()
    below = (mesh[:, 1] > mesh[LIPS_INNER, 1].mean()) & (np.abs(mesh[:, 0]) < 0.25)
    mesh[below, 1] += opening
    turn = np.radians(yaw)
    about_y = np.array([[np.cos(turn), 0, -np.sin(turn)], [0, 1, 0], [np.sin(turn), 0, np.cos(turn)]])
    points = (90 * mesh @ about_y.T + (70 + 110 * track, 80, 0)).astype(np.float32)
    box = np.concatenate([points[:, :2].min(axis=0), points[:, :2].max(axis=0)])
    return Face(box=box, landmarks=points, score=0.9, pose=fit_mesh(points).pose, track=track)


def opening(number):
    """Closed, then open around frame 1015."""
    return 0.08 * float(np.exp(-(((number - 1015) / 4) ** 2)))


@pytest.fixture
def clip(tmp_path):
    """Thirty pictures, 1001 to 1030."""
    random = np.random.default_rng(0)
    for number in range(1001, 1031):
        cv2.imwrite(str(tmp_path / f"take.{number}.png"), random.integers(0, 255, (160, 260, 3), np.uint8))
    return str(tmp_path / "take.####.png")


@pytest.fixture
def measure(tmp_path):
    def run(source, script, **options):
        options = {"output": tmp_path / "out" / "take.csv", "track": PLAIN, **options}
        return measure_curves(CurvesOptions(source=source, **options), finder=Finder(script), reader=Reader())

    return run


def one_face(numbers=range(1001, 1031)):
    return {number: {0: (opening(number), 0.0)} for number in numbers}


def test_a_mouth_that_opens_is_seen_when_it_opens(clip, measure):
    report = measure(clip, one_face())
    curves = read_curves(report.output)
    assert curves.numbers.tolist() == list(range(1001, 1031)) and curves.rate == report.rate == Fraction(24)
    for unit in (LIPS, JAW):
        assert curves.units[:5, unit].max() < 0.1
        assert abs(report.peaks[unit.name][1] - 1015) <= 1 and report.peaks[unit.name][0] > 1.5
    assert report.filled == () and report.people_sheet is None
    assert cv2.imread(str(report.plot)).shape[1] > 1300
    record = json.loads(report.record.read_text())
    assert record["command"] == "curves" and record["figures"]["neutral"] == "where the clip is quietest"


def test_frames_without_a_usable_face_are_filled_and_named(clip, measure):
    script = one_face(range(1003, 1031))
    script[1020][0] = (0.0, 75.0)
    report = measure(clip, script)
    assert [frame.number for frame in report.filled] == [1001, 1002, 1020]
    assert report.filled[0].reason == "no face found" and "profile" in report.filled[2].reason
    curves = read_curves(report.output)
    assert curves.missing.nonzero()[0].tolist() == [0, 1, 19]
    np.testing.assert_allclose(curves.units[19], (curves.units[18] + curves.units[20]) / 2, atol=2e-3)


def test_neutral_may_be_a_frame_or_nobody(clip, measure):
    open_at_first = {number: {0: (0.08 if number < 1010 else 0.0, 0.0)} for number in range(1001, 1031)}
    quiet = read_curves(measure(clip, open_at_first).output)
    first = read_curves(measure(clip, open_at_first, neutral="first").output)
    assert quiet.units[3, LIPS] > 1 and quiet.units[-3, LIPS] < 0.1
    assert first.units[3, LIPS] < 0.1
    frame = read_curves(measure(clip, open_at_first, neutral="1020").output)
    np.testing.assert_allclose(frame.units, quiet.units, atol=2e-3)
    plain = measure(clip, open_at_first, neutral="none")
    assert plain.neutral.startswith("nobody") and plain.peaks["AU25"][0] > 0.5
    with pytest.raises(OptionError, match="--neutral 5"):
        measure(clip, open_at_first, neutral="5")


def test_several_people_need_a_choice(clip, measure, tmp_path):
    script = {number: {0: (0.0, 0.0), 1: (opening(number), 0.0)} for number in range(1001, 1031)}
    with pytest.raises(FaceError, match="shows 2 people.*--person NUMBER"):
        measure(clip, script)
    assert (tmp_path / "out" / "take.people.png").exists()
    low, high = sorted(measure(clip, script, person=(number,)).peaks["AU26"][0] for number in (1, 2))
    assert low < 0.1 and high > 1.5
    with pytest.raises(OptionError, match="--person 7"):
        measure(clip, script, person=(7,))


def test_a_clip_without_faces_is_a_sentence(clip, measure):
    with pytest.raises(FaceError, match="No face was found"):
        measure(clip, {})
    with pytest.raises(FaceError, match="profile"):
        measure(clip, {number: {0: (0.0, 80.0)} for number in range(1001, 1031)})
    with pytest.raises(MediaError):
        measure("absent.mov", {})


def test_a_still_is_read_as_anybodys(tmp_path, measure):
    picture = tmp_path / "still.png"
    cv2.imwrite(str(picture), np.random.default_rng(0).integers(0, 255, (160, 260, 3), np.uint8))
    report = measure(str(picture), {number: {0: (0.08, 0.0)} for number in (0, 1)}, plot=False)
    assert report.num_frames == 1 and report.plot is None
    assert report.neutral.startswith("nobody") and report.peaks["AU25"][0] > 0.5


def test_curves_are_converted_cut_and_counted_from_a_frame(tmp_path, monkeypatch):
    units = np.zeros((10, 17), np.float32)
    units[:, ActionUnit.AU12] = np.linspace(1, 5, 10)
    write_curves(
        tmp_path / "take.json",
        Curves(numbers=np.arange(1, 11), rate=Fraction(25), units=units, missing=np.zeros(10, bool)),
    )
    monkeypatch.chdir(tmp_path)
    report = measure_curves(CurvesOptions(source="take.json", first=3, last=8))
    found = read_curves(report.output)
    assert report.output.name == "take.csv" and found.numbers.tolist() == list(range(3, 9)) and found.rate == 25
    np.testing.assert_allclose(found.units, units[2:8], atol=1e-3)
    relative = measure_curves(CurvesOptions(source="take.json", output=tmp_path / "relative.csv", neutral="first"))
    np.testing.assert_allclose(read_curves(relative.output).units[[0, -1], ActionUnit.AU12], (0, 5), atol=1e-3)
    for options, sentence in (
        ({"first": 50}, "none lies in the range"),
        ({"person": (1,)}, "is for footage"),
        ({"neutral": "99"}, "no values for frame 99"),
        ({"output": tmp_path / "take.json"}, "the source itself"),
        ({"output": tmp_path / "take.txt"}, "must end in"),
        ({"neutral": "smile"}, "must be auto"),
    ):
        with pytest.raises(OptionError, match=sentence):
            measure_curves(CurvesOptions(**{"source": str(tmp_path / "take.json"), **options}))


def test_the_command_converts_and_answers_in_json(tmp_path, capsys):
    (tmp_path / "hand.csv").write_text("frame,AU12\n1,0\n2,4\n")
    assert main(["curves", str(tmp_path / "hand.csv"), "-o", str(tmp_path / "hand.json"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["num_frames"] == 2 and report["peaks"]["AU12"] == [4.0, 2]
    (tmp_path / "wrong.csv").write_text("frame,AU99\n1,0\n")
    assert main(["curves", str(tmp_path / "wrong.csv"), "-o", str(tmp_path / "x.csv")]) == 2
    assert "'AU99' is no action unit" in capsys.readouterr().err


def test_the_plot_shades_gaps_and_draws_every_unit():
    units = np.full((100, 17), 2.5, np.float32)
    missing = np.zeros(100, bool)
    whole = Curves(numbers=np.arange(100), rate=Fraction(25), units=units, missing=missing)
    plain = draw_curves(whole, title="take")
    gaps = missing.copy()
    gaps[40:60] = True
    shaded = draw_curves(Curves(numbers=np.arange(100), rate=Fraction(25), units=units, missing=gaps), title="take")
    assert plain.shape == shaded.shape and plain.dtype == np.uint8
    changed = (plain != shaded).any(axis=2).any(axis=0).nonzero()[0]
    assert 0.15 < np.ptp(changed) / plain.shape[1] < 0.21
    lines = (np.abs(plain.astype(int) - (33, 102, 172)).sum(axis=2) < 60)[:, 400]
    assert lines.sum() >= 17
