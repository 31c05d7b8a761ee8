"""A still moved by landmarks, from file to file: drive, boundary, rotate and edit, with stand-ins for models and network."""

from __future__ import annotations

import json
from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from understudy.composite.motion import warp_by_motion
from understudy.errors import FaceError, MediaError, OptionError
from understudy.faces.align import fit_mesh, mean_mesh
from understudy.faces.face import Pose
from understudy.faces.handles import move_handles
from understudy.faces.measure import make_face
from understudy.faces.rotate import rotate_landmarks, rotation_of
from understudy.family import AnimateResult
from understudy.jobs.animate import AnimateOptions, animate_still
from understudy.jobs.edit_landmarks import EditLandmarksOptions, edit_landmarks
from understudy.jobs.options_track import TrackOptions
from understudy.jobs.project import new_project
from understudy.media.clip import open_clip
from understudy.provenance.cast import Consent

STILL = (160, 120, 100)


def mesh_at(x, y, height, yaw=0.0):
    rotation = rotation_of(Pose(yaw=yaw, pitch=0.0, roll=0.0))
    return (height * mean_mesh() @ rotation.T + (x, y, 0)).astype(np.float32)


@dataclass
class Finder:
    """Finds faces where it is told: (x, y, height[, yaw]) by picture size, and of clips by place; ``broad`` makes them so."""

    faces: dict
    name: str = ""
    broad: float = 1.0

    @property
    def weights(self):
        return {"models.task": f"{self.name}{self.broad}"}

    def follow(self, frames):
        for place, (number, picture) in enumerate(frames):
            size = picture.shape[1], picture.shape[0]
            found = self.faces[size]
            found = found(place) if callable(found) else found
            meshes = [mesh_at(*one) for one in found]
            if size != (320, 240):
                for mesh, one in zip(meshes, found, strict=True):
                    mesh[:, 0] = one[0] + self.broad * (mesh[:, 0] - one[0])
            yield number, [make_face(mesh, 0.9, size, track=track) for track, mesh in enumerate(meshes)]

    def stabilise(self, picture, faces, perturbations):
        return np.stack([one.landmarks for one in faces])


def drawn(width=320, height=240, seed=0):
    random = np.random.default_rng(seed)
    view = sum(
        cv2.resize(random.random((side, side, 3)), (width, height), interpolation=cv2.INTER_CUBIC)
        for side in (5, 20, 80)
    )
    return np.round(np.clip(np.asarray(view) / 3, 0.02, 0.98) * 255).astype(np.uint8)


def pixels_of(source):
    with open_clip(source) as clip:
        return {frame.number: frame.pixels for frame in clip}


class Painter:
    """Stands in for a model driven by landmarks: dots where they are asked for, on the still; it remembers every drive."""

    size, signals, expressions, oval_share = 64, frozenset({"landmarks"}), (), 0.5

    def __init__(self, moves=False):
        self.moves, self.drives = moves, []

    def animate(self, still, drive):
        self.drives.append(drive)
        own = drive.still_landmarks
        crops = []
        for strength, landmarks in zip(drive.strength, drive.landmarks, strict=True):
            crop = still.copy()
            for x, y, _ in (own + strength * (landmarks - own))[[1, 33, 263, 61, 291, 152]] * self.size:
                cv2.circle(crop, (int(x), int(y)), 3, (1.0, 0.1, 0.1), -1)
            crops.append(crop)
        motion = None
        if self.moves:
            reached = (drive.landmarks - own)[:, 4, :2] * drive.strength[:, None]
            motion = np.zeros((len(crops), self.size, self.size, 2), np.float32)
            motion[:, 20:44, 20:44] = -reached[:, None, None]
            crops = [warp_by_motion(still, one) for one in motion]
        return AnimateResult(crops=np.stack(crops), motion=motion)

    @property
    def rows(self):
        """Strength and meshes of all rows that were asked, the rest at the beginning left out."""
        strength = np.concatenate([drive.strength for drive in self.drives[1:]])
        return strength, np.concatenate([drive.landmarks for drive in self.drives[1:]])

    def last(self, window, still=STILL, side=None):
        """The last mesh asked for, in pixels of the still; the crop is upright and ``side`` wide."""
        strength, rows = self.rows
        own = self.drives[-1].still_landmarks
        mesh = own + strength[-1] * (rows[-1] - own)
        side = side or window[2] - window[0]
        return mesh * side + np.array((window[0], window[1], 0), np.float32)


class ByUnits(Painter):
    """Stands in for a model driven by action units."""

    signals = frozenset({"units"})


class Reader:
    """Takes the first frame for the quietest, and refuses to read units."""

    def quiet_of(self, landmarks):
        return np.array([0])

    def measure(self, landmarks, rest=None):
        raise AssertionError("units are not wanted here")

    rest_of = measure


@pytest.fixture
def project(tmp_path):
    return new_project(tmp_path / "show", identities={"anna": Consent(granted_by="Anna", scope=("render",))})


@pytest.fixture
def portrait(project):
    path = project.footage / "portrait.png"
    cv2.imwrite(str(path), drawn())
    return path


@pytest.fixture
def run(project, portrait):
    def run(painter=None, *, faces=None, **options):
        options = {"still": str(portrait), "output": project.renders / "a.####.png"} | options
        known = {(320, 240): [STILL]} | (faces or {})
        return animate_still(
            AnimateOptions(identity="anna", project=project.root, **options),
            animator=painter or Painter(),
            finder=Finder(known, repr(faces)),
            reader=Reader(),
        )

    return run


# -- rotate ------------------------------------------------------------------------------------------------------------


def test_a_turn_over_time_goes_there_along_an_arc_and_comes_back(run, portrait, project):
    painter = Painter()
    report = run(painter, rotate="yaw=40", rise=0.5, hold=0.2, fall=0.5)
    result, still = pixels_of(report.output), pixels_of(portrait)[1]
    assert report.num_frames == 30 and report.rate == 24
    np.testing.assert_array_equal(result[1], still)
    np.testing.assert_array_equal(result[30], still)
    strength, rows = painter.rows
    own = painter.drives[-1].still_landmarks
    for share, row in zip(strength, rows, strict=True):
        pose = fit_mesh(own + share * (row - own)).pose
        assert pose.yaw == pytest.approx(40 * share, abs=0.05) and abs(pose.pitch) < 0.05, "never a face pressed flat"
    assert strength.max() == 1 and (result[14] != still).any()


def test_a_turned_still_is_one_picture(run, project):
    painter = Painter()
    report = run(painter, rotate="yaw=-20,pitch=10,roll=5", output=project.renders / "turned.png")
    wanted = rotate_landmarks(mesh_at(*STILL), Pose(yaw=-20, pitch=10, roll=5))
    np.testing.assert_allclose(painter.last(report.window), wanted, atol=0.02)
    assert report.num_frames == 1 and json.loads(report.record.read_text())["options"]["rotate"].startswith("yaw=-20")


def test_strength_is_a_share_of_the_angle(run, project):
    painter = Painter()
    report = run(painter, rotate="yaw=40", strength=0.5, output=project.renders / "a.png")
    assert fit_mesh(painter.last(report.window)).pose.yaw == pytest.approx(20, abs=0.05)


def test_turns_beyond_what_can_be_seen_are_a_sentence(run, project):
    with pytest.raises(OptionError, match="yaw must lie between -60 and 60"):
        run(rotate="yaw=75")
    with pytest.raises(FaceError, match="already has a yaw of 35° and would end at 75°"):
        run(rotate="yaw=40", faces={(320, 240): [(*STILL, 35.0)]})
    with pytest.raises(FaceError, match="would end at 120°"):
        run(rotate="yaw=60", strength=2.0)
    report = run(rotate="yaw=-40", faces={(320, 240): [(*STILL, 35.0)]}, output=project.renders / "back.png")
    assert report.num_frames == 1


def test_the_old_head_does_not_shine_through(run, portrait, project):
    """The whole answer lies over the still where the window is full; a family without motion would leave both otherwise."""

    class Gray(Painter):
        def animate(self, still, drive):
            super().animate(still, drive)
            return AnimateResult(crops=np.full((len(drive.strength), 64, 64, 3), 0.5, np.float32))

    report = run(Gray(), rotate="yaw=20", output=project.renders / "a.png")
    assert any("painted all of the head" in note for note in report.notes)
    result, still = pixels_of(report.output)[1], pixels_of(portrait)[1]
    np.testing.assert_array_equal(
        np.unique(result[90:150, 130:190]), [127, 128][-len(np.unique(result[90:150, 130:190])) :]
    )
    x0, y0, x1, y1 = report.window
    outside = np.ones(still.shape[:2], bool)
    outside[y0:y1, x0:x1] = False
    np.testing.assert_array_equal(result[outside], still[outside])
    assert np.abs(result[y0 + 1].astype(int) - still[y0 + 1]).max() <= 1, "and there is no seam"


def test_families_that_move_pixels_go_by_residual_warping(run, portrait, project):
    report = run(Painter(moves=True), rotate="yaw=25", output=project.renders / "a.png")
    result, still = pixels_of(report.output)[1].astype(float), pixels_of(portrait)[1].astype(float)
    assert np.abs(result - still).mean() > 0.5
    sharp = [cv2.Laplacian(one[105:135, 145:175], cv2.CV_64F).var() for one in (result, still)]
    assert sharp[0] > 0.4 * sharp[1], "the still's own pixels"


# -- boundary ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def other(project):
    path = project.footage / "other.png"
    cv2.imwrite(str(path), drawn(200, 160, seed=3))
    return path


def test_another_face_is_the_target(run, project, other):
    painter = Painter()
    faces = {(200, 160): [(100, 80, 60, 25.0)]}
    report = run(painter, boundary=str(other), faces=faces, output=project.renders / "a.png")
    mesh = painter.last(report.window)
    assert fit_mesh(mesh).pose.yaw == pytest.approx(25, abs=0.1)
    assert fit_mesh(mesh).scale == pytest.approx(100, rel=0.01), "at the still's own size"
    assert str(other) in json.loads(report.record.read_text())["inputs"]
    stays = run(Painter(), boundary=str(other), faces=faces, head="still", output=project.renders / "b.png")
    assert (pixels_of(stays.output)[1] != pixels_of(report.output)[1]).any()


def test_targets_that_cannot_be_used_are_a_sentence(run, project, other):
    def target(faces, **options):
        return run(boundary=str(other), faces={(200, 160): faces}, **options)

    with pytest.raises(FaceError, match="No face was found in .*other.png, so there is no boundary map"):
        target([])
    two = [(50, 80, 40), (150, 80, 30)]
    with pytest.raises(FaceError, match=r"other.png shows 2 faces: 1 \(about .*--performer NUMBER"):
        target(two)
    with pytest.raises(OptionError, match="--performer 4 is nobody in .*other.png"):
        target(two, performer=(4,))
    report = target(two, performer=(2,), output=project.renders / "a.png")
    assert report.performer_sheet is not None and report.performer_sheet.exists()
    (project.footage / "clip").mkdir()
    for number in (1, 2):
        cv2.imwrite(str(project.footage / "clip" / f"c.{number:04d}.png"), drawn(200, 160))
    with pytest.raises(MediaError, match="is a sequence; --boundary takes one picture, and --drive takes footage"):
        run(boundary=f"{project.footage}/clip/c.####.png")


# -- a driving clip ----------------------------------------------------------------------------------------------------


@pytest.fixture
def take(project):
    folder = project.footage / "take"
    folder.mkdir()
    for number in range(101, 131):
        cv2.imwrite(str(folder / f"take.{number:04d}.png"), drawn(160, 120, seed=number))
    return f"{folder}/take.####.png"


def turning(place):
    """Looks ahead, then 1.5 degrees further a frame; lost from the 11th frame to the 14th, profile in the 20th, gone at the end."""
    if 10 <= place < 14 or place >= 28:
        return []
    return [(80 + place / 10, 60, 60, 80.0 if place == 19 else 1.5 * place)]


def test_the_performers_head_turns_the_still(run, portrait, project, take):
    painter = Painter()
    report = run(
        painter, drive=take, faces={(160, 120): turning}, neutral="first", min_visible=0.0, ease=0.1,
        track=TrackOptions(smooth=False),
    )  # fmt: skip
    result = pixels_of(report.output)
    assert list(result) == list(range(101, 131)), "the drive's own numbers"
    np.testing.assert_array_equal(result[101], pixels_of(portrait)[1])
    filled = {frame.number: frame.reason for frame in report.filled}
    assert sorted(filled) == [111, 112, 113, 114, 120, 129, 130] and filled[120].startswith("profile: turned by 80°")
    _, rows = painter.rows
    yaws = [fit_mesh(row).pose.yaw for row in rows]
    wanted = [1.5 * place for place in range(1, 28)] + [1.5 * 27]  # frames that repeat the last one are made once
    np.testing.assert_allclose(yaws[5:25], wanted[5:25], atol=0.5, err_msg="gaps lie between their neighbours")
    assert {fit_mesh(row).scale for row in rows} and np.ptp([fit_mesh(row).scale for row in rows]) < 0.01
    np.testing.assert_array_equal(result[129], result[130])


def test_a_head_may_follow_or_stay(run, project, take):
    faces = {(160, 120): lambda place: [(80 + place, 60, 60, place)]}
    middles = {}
    for head in ("turn", "follow", "still"):
        painter = Painter()
        run(painter, drive=take, faces=faces, neutral="first", head=head, output=project.renders / f"{head}.####.png")
        fit = fit_mesh(painter.rows[1][-1])
        middles[head] = (fit.shift[0] - fit_mesh(painter.rows[1][0]).shift[0], fit.pose.yaw)
    assert middles["turn"] == pytest.approx((0, 29), abs=0.2) and middles["still"] == pytest.approx((0, 0), abs=0.2)
    assert middles["follow"] == pytest.approx((28 * 100 / 60 / 200, 29), abs=0.2), "by the faces' sizes"


def test_a_face_that_leaves_its_window_is_said(run, take):
    report = run(
        drive=take,
        faces={(160, 120): lambda place: [(80 + 2 * place, 60, 60)]},
        neutral="first",
        head="follow",
        min_visible=0,
    )
    assert any("the face leaves the head's window" in note and "--head turn" in note for note in report.notes)


def test_another_rate_and_fewer_frames(run, project, take):
    report = run(drive=take, faces={(160, 120): turning}, fps=12.5, frames=10, start=1001, min_visible=0)
    assert report.num_frames == 10 and report.rate == 12.5
    assert list(pixels_of(report.output)) == list(range(1001, 1011))


def test_a_performers_own_shape_comes_along_only_where_it_is_wanted(portrait, project, take):
    widths = {}
    for keep in (True, False):
        painter = Painter()
        options = AnimateOptions(
            still=str(portrait), drive=take, identity="anna", project=project.root, retarget=keep,
            neutral="first", output=project.renders / f"{keep}.####.png",
        )  # fmt: skip
        finder = Finder({(320, 240): [STILL], (160, 120): lambda place: [(80, 60, 60)]}, broad=1.15)
        animate_still(options, animator=painter, finder=finder, reader=Reader())
        mesh, own = painter.rows[1][-1], painter.drives[-1].still_landmarks
        widths[keep] = float((mesh[454, 0] - mesh[234, 0]) / (own[454, 0] - own[234, 0]))
    assert widths[True] == pytest.approx(1, abs=1e-3) and widths[False] > 1.04


def test_driving_clips_without_a_usable_face_are_a_sentence(run, take):
    with pytest.raises(FaceError, match="No face was found in the 30 frames"):
        run(drive=take, faces={(160, 120): []})
    with pytest.raises(FaceError, match="No frame of the driving clip.*profile"):
        run(drive=take, faces={(160, 120): [(80, 60, 60, 80.0)]})
    with pytest.raises(OptionError, match="--neutral 112: frame 112 holds no face.*no face found"):
        run(drive=take, faces={(160, 120): turning}, neutral="112", min_visible=0)


# -- which model -------------------------------------------------------------------------------------------------------


def test_models_are_told_what_they_cannot_do(run, project):
    with pytest.raises(OptionError, match="driven by landmarks; move it by --drive, --boundary, --rotate or --move"):
        run(expression="smile")
    with pytest.raises(OptionError, match="driven by landmarks, not by action units.*--drive"):
        run(curves=project.root / "a.csv")
    with pytest.raises(OptionError, match="driven by action units, not by landmarks"):
        run(ByUnits(), rotate="yaw=20")


def test_the_first_packaged_model_that_can_is_taken(monkeypatch):
    from understudy.family import Family, Task
    from understudy.jobs import animate

    def family(name, animator):
        return Family(
            name=name, title=name, paper="", tasks=frozenset({Task.ANIMATE}), presets=(), recipe=lambda: None,
            trainable=lambda: None, animator=lambda path, device: animator,
        )  # fmt: skip

    known = [(family("paints", Painter()), "p.safetensors"), (family("moves", ByUnits()), "m.safetensors")]
    monkeypatch.setattr(animate, "find_animators", lambda checkpoint, method: known)

    def taken(**options):
        return animate._open_animator(AnimateOptions(still="a.png", **options), None)[1]

    assert taken(rotate="yaw=10") == "paints" and taken(expression="smile") == "moves"
    assert taken(drive="a.mp4") == "moves", "a driving clip goes on meaning action units where it did"
    known.pop()
    assert taken(drive="a.mp4") == "paints"
    with pytest.raises(OptionError, match="driven by landmarks"):
        taken(expression="smile")


# -- edit landmarks ----------------------------------------------------------------------------------------------------


@pytest.fixture
def edit(project, portrait):
    def edit(painter=None, **options):
        options = {"still": str(portrait), "identity": "anna", "project": project.root} | options
        return edit_landmarks(
            EditLandmarksOptions(**options), animator=painter or Painter(), finder=Finder({(320, 240): [STILL]})
        )

    return edit


def test_moved_points_become_one_picture(edit, portrait, project):
    painter = Painter()
    report = edit(painter, move=("mouth_left=+6,-3", "chin=0,5"))
    assert report.picture is not None and report.picture.output == project.renders / "portrait_edited.png"
    wanted = move_handles(mesh_at(*STILL), {"mouth_left": (6.0, -3.0), "chin": (0.0, 5.0)})
    np.testing.assert_allclose(painter.last(report.picture.window), wanted, atol=0.02)
    assert (pixels_of(report.picture.output)[1] != pixels_of(portrait)[1]).any()
    assert json.loads(report.picture.record.read_text())["options"]["move"] == ["mouth_left=+6,-3", "chin=0,5"]
    assert cv2.imread(str(report.picture.sheet)) is not None


def test_the_names_can_be_asked_for_without_a_still():
    from understudy.cli.edit import COMMAND

    report = edit_landmarks(EditLandmarksOptions(list_=True))
    assert report.picture is None and report.handles["mouth_left"] == "left corner of the mouth"
    assert "eye_left_top" in COMMAND.commands["landmarks"].show(report)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"move": ()}, "Say what is to move"),
        ({"still": None, "move": ("chin=1,1",)}, "Name the picture to edit"),
        ({"move": ("chn=1,1",)}, "no handle 'chn'; near it are chin"),
        ({"move": ("chin=1,1",), "output": "a.mp4"}, "an edited still is one picture"),
        ({"move": ("chin=1,1",), "reach": 0.0}, "--reach must lie between"),
    ],
)
def test_edits_that_cannot_be_are_a_sentence(edit, options, said):
    from pathlib import Path

    if "output" in options:
        options = options | {"output": Path(options["output"])}
    with pytest.raises(OptionError, match=said):
        edit(**options)


def test_the_middle_of_an_animated_move_is_half_of_it(run, project):
    painter = Painter()
    run(painter, move=("chin=0,8",), rise=0.5, hold=0, fall=0)
    strength, rows = painter.rows
    own = painter.drives[-1].still_landmarks
    np.testing.assert_allclose(strength * (rows - own)[:, 152, 1] * 200, 8 * strength, atol=0.02)
    assert strength[-1] == 1 and 0 < strength[0] < 0.2
