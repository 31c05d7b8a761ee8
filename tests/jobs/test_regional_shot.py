"""Swapping a shot region by region, with drawn faces, a stand-in model that paints regions, and one that reads their colours."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.composite.options import CompositeOptions
from understudy.errors import ConsentError, FaceError, OptionError
from understudy.faces.align import mean_mesh
from understudy.faces.regions import Region
from understudy.faces.topology import LIPS_INNER
from understudy.families.regional_inversion.recompose import join_faces
from understudy.family import AnimateResult, Drive
from understudy.jobs import regional_drive, regional_shot
from understudy.jobs import shot as shot_job
from understudy.jobs.options_regional import RegionalOptions
from understudy.jobs.options_swap import SwapOptions
from understudy.jobs.regional_drive import Animated, MeshBent, Unmoved, with_mouth, with_whole_jaw, within_outline
from understudy.jobs.regional_source import mean_textures
from understudy.jobs.shot import swap_shot
from understudy.perform.swap import FacePerformer
from understudy.provenance.record import RunRecord

from .test_edit import COLOURS, CONSENT, FACE, OTHER_LIPS, Editor, Finder, Parser

SOURCE_SKIN = (150, 100, 70)
FRAMES = 4


class Joining(Editor):
    def join(self, target, driven, *, regions=(), order="paper", moving=False):
        return join_faces(target, driven, regions=regions, order=order, moving=moving, side=self.size)


class Colours(Parser):
    """Knows the source's skin as well."""

    def parse(self, crops: np.ndarray, guides: np.ndarray | None = None) -> np.ndarray:
        known = [*COLOURS.items(), (Region.LIPS, OTHER_LIPS), (Region.SKIN, SOURCE_SKIN)]
        colours = np.array([colour for _, colour in known], np.float32) / 255
        labels = np.array([region for region, _ in known])
        return np.eye(12, dtype=np.float32)[labels[np.abs(crops[..., None, :] - colours).sum(-1).argmin(-1)]]


class FakeFamily:
    name = "regional_inversion"

    def editor(self, model: Path, *, device: str = "auto") -> Joining:
        return Joining()


def draw(
    path: Path, *, skin: tuple[int, int, int] = COLOURS[Region.SKIN], lips: tuple[int, int, int] = COLOURS[Region.LIPS]
) -> Path:
    picture = np.full((200, 240, 3), COLOURS[Region.BACKGROUND], np.uint8)
    cv2.ellipse(picture, (120, 90), (40, 50), 0, 0, 360, COLOURS[Region.HAIR], -1)
    cv2.ellipse(picture, (120, 100), (30, 40), 0, 0, 360, skin, -1)
    cv2.rectangle(picture, (110, 118), (130, 126), lips, -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture[..., ::-1])
    return path


@pytest.fixture
def swap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """``swap(**options)``: a shot of four frames whose face becomes the source picture's."""
    for number in range(1, FRAMES + 1):
        draw(tmp_path / "plate" / f"shot.{number:04d}.png")
    source = draw(tmp_path / "source.png", skin=SOURCE_SKIN, lips=OTHER_LIPS)
    source.with_suffix(".consent.toml").write_text(CONSENT)
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"weights")
    monkeypatch.setattr(shot_job, "find_editor", lambda checkpoint, name: (FakeFamily(), weights))

    def run(*, regional: RegionalOptions | None = None, finder: Finder | None = None, **options):
        given = {
            "plate": str(tmp_path / "plate" / "shot.####.png"),
            "identity": str(source),
            "method": "regional_inversion",
            "output": tmp_path / "out" / "shot.####.png",
            "regional": regional or RegionalOptions(light="source"),
            **options,
        }
        return swap_shot(SwapOptions(**given), finder=finder or Finder(), parser=Colours())

    return run


def read(report, number: int = 2) -> np.ndarray:
    return cv2.imread(str(report.output).replace("####", f"{number:04d}"))[..., ::-1]


def test_a_whole_face_is_swapped_and_hair_and_background_stay(swap, tmp_path: Path) -> None:
    report = swap()
    after, before = read(report), cv2.imread(str(tmp_path / "plate" / "shot.0002.png"))[..., ::-1]
    np.testing.assert_allclose(after[100, 120], SOURCE_SKIN, atol=12)
    np.testing.assert_allclose(after[122, 120], OTHER_LIPS, atol=12)
    np.testing.assert_array_equal(after[45, 120], COLOURS[Region.HAIR])
    np.testing.assert_array_equal(after[:40], before[:40])
    assert (report.num_frames, report.swapped) == (FRAMES, FRAMES)
    assert report.sheet is not None and report.sheet.is_file()


def test_some_regions_are_swapped_and_in_part(swap) -> None:
    regional = RegionalOptions(regions=("lips=0.5",), light="source")
    after = read(swap(regional=regional, composite=CompositeOptions(own_detail=0)))
    np.testing.assert_allclose(after[100, 120], COLOURS[Region.SKIN], atol=2)
    wanted = (np.array(OTHER_LIPS) + COLOURS[Region.LIPS]) / 2
    np.testing.assert_allclose(after[122, 120], wanted, atol=12)


@pytest.mark.parametrize("seam", ["gaussian", "laplacian"])
@pytest.mark.parametrize("textures", ["shot", "frame"])
def test_the_ways_agree_on_a_still_face(swap, seam: str, textures: str) -> None:
    regional = RegionalOptions(seam=seam, textures=textures, reenact="none", order="code", light="source")  # type: ignore[arg-type]
    after = read(swap(regional=regional))
    np.testing.assert_allclose(after[100, 120], SOURCE_SKIN, atol=14)


def test_frames_do_not_depend_on_where_a_run_began(swap, tmp_path: Path) -> None:
    whole = read(swap(), 3)
    part = swap(first=3, last=3, output=tmp_path / "part" / "shot.####.png")
    np.testing.assert_array_equal(read(part, 3), whole)


def test_skin_may_take_the_plates_colours(swap, tmp_path: Path) -> None:
    own = read(swap())[100, 120].astype(float)
    lit = read(swap(regional=RegionalOptions(light="plate"), output=tmp_path / "lit" / "shot.####.png"))[100, 120]
    even = RegionalOptions(light="shading")  # the plate's light falls evenly
    shaded = read(swap(regional=even, output=tmp_path / "shaded" / "shot.####.png"))[100, 120]
    np.testing.assert_allclose(shaded, SOURCE_SKIN, atol=14)
    plate = np.array(COLOURS[Region.SKIN], float)
    assert np.abs(lit - plate).sum() < 0.7 * np.abs(own - plate).sum()


def test_a_movies_worth_of_layers(swap, tmp_path: Path) -> None:
    report = swap(mattes=tmp_path / "mattes" / "m.####.png", raw_faces=tmp_path / "raw" / "r.####.png")
    matte = cv2.imread(str(tmp_path / "mattes" / "m.0002.png"), cv2.IMREAD_UNCHANGED)
    assert matte.max() == 65535 and matte[45, 120] == 0
    assert report.raw_faces is not None


def test_consent_and_identity_are_asked_for(swap, tmp_path: Path) -> None:
    (tmp_path / "source.consent.toml").unlink()
    with pytest.raises(ConsentError, match="source.consent.toml beside it"):
        swap()
    with pytest.raises(ConsentError, match="anna"):
        swap(identity="anna")


def test_what_stands_before_the_face_stays(swap, tmp_path: Path) -> None:
    """--occlusion regions: what the parser takes for background inside the face's outline is a hand."""
    for number in range(1, FRAMES + 1):
        path = tmp_path / "plate" / f"shot.{number:04d}.png"
        picture = cv2.imread(str(path))
        cv2.rectangle(picture, (112, 92), (128, 108), COLOURS[Region.BACKGROUND][::-1], -1)
        cv2.imwrite(str(path), picture)
    covered = read(swap(output=tmp_path / "a" / "shot.####.png"))
    np.testing.assert_allclose(covered[100, 120], SOURCE_SKIN, atol=12)
    kept = read(swap(occlusion="regions", output=tmp_path / "b" / "shot.####.png"))
    np.testing.assert_allclose(kept[100, 120], COLOURS[Region.BACKGROUND], atol=12)


def test_other_methods_are_refused(tmp_path: Path) -> None:
    options = {"plate": "x.png", "identity": "anna"}
    with pytest.raises(OptionError, match="--method warping does animate but no swap"):
        swap_shot(SwapOptions(method="warping", **options), finder=Finder())
    with pytest.raises(OptionError, match="--method magic: the families are"):
        swap_shot(SwapOptions(method="magic", **options), finder=Finder())
    with pytest.raises(OptionError, match="--calm must lie between"):
        RegionalOptions(calm=50)


# -- reenactment ---------------------------------------------------------------------------------------------------------------


def target_mesh(turn: float = 0.0) -> np.ndarray:
    cosine, sine = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    rotation = np.array([[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]])
    return (FACE * mean_mesh() @ rotation.T + (60, 70, 0)).astype(np.float32)


@pytest.fixture
def source(tmp_path: Path):
    from understudy.jobs.regional_source import read_source

    path = draw(tmp_path / "source.png", skin=SOURCE_SKIN, lips=OTHER_LIPS)
    return read_source(
        [path], editor=Joining(), parser=Colours(), finder=Finder(), cache=None, record=RunRecord.begin("test")
    )


def test_a_source_is_read_and_bent_by_its_mesh(source) -> None:
    assert source.shown[[Region.SKIN, Region.LIPS, Region.HAIR]].all() and not source.shown[Region.GLASSES]
    np.testing.assert_allclose(source.values[Region.LIPS], np.array(OTHER_LIPS) / 255, atol=0.06)
    own = Unmoved(source).driven(target_mesh()).regions
    bent = MeshBent(source, Joining()).driven(target_mesh()).regions
    # The same face doing the same: nothing moves but a pixel at edges.
    assert (own == bent).mean() > 0.97
    turned = MeshBent(source, Joining()).driven(target_mesh(25)).regions
    columns = [np.flatnonzero((labels == Region.LIPS).any(0)).mean() for labels in (own, turned)]
    assert abs(columns[1] - columns[0]) > 1


def test_a_closed_mouth_gets_the_shape_of_an_open_one() -> None:
    mesh = 0.5 * mean_mesh() + (0.5, 0.5, 0)
    lips = np.full((128, 128), Region.LIPS, np.uint8)
    closed = mesh.copy()
    closed[LIPS_INNER, 1] = closed[LIPS_INNER, 1].mean()
    assert Region.MOUTH not in with_mouth(lips, closed)
    opened = mesh.copy()
    lower = LIPS_INNER[11:]
    opened[lower, 1] += 0.06
    found = with_mouth(lips, opened)
    shut = with_mouth(np.where(found == Region.MOUTH, found, lips), closed)
    assert Region.MOUTH not in shut, "an open mouth that is bent shut leaves no slit"
    rows = np.flatnonzero((found == Region.MOUTH).any(1)) / 128
    assert rows.min() >= mesh[13, 1] - 0.02 and rows.max() <= opened[14, 1] + 0.02
    assert (found == Region.MOUTH).sum() > 20


class Mover:
    """Answers with the still; notes what it was asked."""

    size, expressions, oval_share = 64, (), 0.5

    def __init__(self, signals: set[str]) -> None:
        self.signals, self.asked = frozenset(signals), []

    def animate(self, still: np.ndarray, drive: Drive) -> AnimateResult:
        self.asked.append(drive)
        return AnimateResult(crops=np.repeat(still[None], len(drive.strength), 0))


class UnitsOfHeight:
    def measure(self, landmarks: np.ndarray, rest=None) -> np.ndarray:
        return np.full((len(landmarks), 17), landmarks[0, 0, 0] / 100, np.float32)


def test_families_that_animate_reenact(source) -> None:
    by_points, by_units = Mover({"landmarks"}), Mover({"units"})
    face = Animated(source, by_points, Joining(), Colours()).driven(target_mesh(10))
    assert face.crop.shape == (64, 64, 3)
    assert len(face.regions) == len(source.faces[0].face.regions), "as fine as the source's"
    (drive,) = by_points.asked
    assert drive.landmarks is not None and drive.landmarks.shape == (1, 478, 3)
    assert drive.landmarks[..., :2].min() > 0 and drive.landmarks[..., :2].max() < 1
    subject = Animated(source, by_units, Joining(), Colours(), UnitsOfHeight())
    face = subject.driven(target_mesh(10))
    (drive,) = by_units.asked
    assert drive.units is not None and drive.still_units is not None
    assert Region.LIPS in face.regions
    with pytest.raises(OptionError, match="named expressions alone"):
        Animated(source, Mover({"expression"}), Joining(), Colours())


@pytest.mark.parametrize("kind", ["none", "mesh", "landmarks", "units"])
def test_where_a_driven_face_is(source, kind: str) -> None:
    """The mesh that detail is carried to lies in the crop as the regions do: lips on lips."""
    subject = {
        "none": lambda: Unmoved(source),
        "mesh": lambda: MeshBent(source, Joining()),
        "landmarks": lambda: Animated(source, Mover({"landmarks"}), Joining(), Colours()),
        "units": lambda: Animated(source, Mover({"units"}), Joining(), Colours(), UnitsOfHeight()),
    }[kind]()
    mesh = subject.mesh(target_mesh(8))
    assert mesh.shape == (478, 3)
    rows, columns = np.nonzero(subject.driven(target_mesh(8)).regions == Region.LIPS)
    side = len(source.faces[0].face.regions)
    lips = mesh[LIPS_INNER, :2].mean(0)
    np.testing.assert_allclose((columns.mean() / side, rows.mean() / side), lips, atol=0.06)


def test_reenactors_by_name(source, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = lambda name: regional_drive.open_reenactor(name, source, editor=Joining(), parser=Colours())[0]  # noqa: E731
    assert isinstance(opened("none"), Unmoved)
    assert isinstance(opened("mesh"), MeshBent)
    with pytest.raises(OptionError, match="--reenact comb does not animate"):
        opened("comb")


def test_textures_are_averaged_over_those_who_show_them() -> None:
    values = np.stack([np.full((12, 2), 1.0), np.full((12, 2), 3.0)]).astype(np.float32)
    shown = np.zeros((2, 12), bool)
    shown[0, 1], shown[:, 6] = True, True
    mean, any_shown = mean_textures(values, shown)
    assert mean[1, 0] == 1 and mean[6, 0] == 2 and mean[0, 0] == 0
    assert np.flatnonzero(any_shown).tolist() == [1, 6]


def test_a_regional_shot_is_a_performer_of_faces() -> None:
    from understudy.jobs.regional_shot import RegionalShot

    for name in ("swap_faces",):
        assert callable(getattr(RegionalShot, name))
    assert not isinstance(Editor(), FacePerformer)


def test_a_bent_face_keeps_to_its_outline() -> None:
    mesh = 0.4 * mean_mesh() + (0.5, 0.55, 0)
    regions = np.full((100, 100), int(Region.SKIN), np.uint8)
    regions[:, :5] = Region.HAIR
    kept = within_outline(regions, mesh)
    face = mesh[[1, 10, 152, 234, 454], :2] * 100
    for x, y in face.astype(int):
        assert kept[y, x] == Region.SKIN
    (left, _), (right, _) = face[3], face[4]
    assert kept[55, int(left) - 4] == kept[55, int(right) + 4] == Region.BACKGROUND
    assert kept[int(face[2, 1]) + 5, 50] == Region.BACKGROUND, "below the chin"
    assert kept[int(face[1, 1]) - 10, 50] == Region.SKIN, "a high forehead"
    assert (kept[:, :5] == Region.HAIR).all()


def test_a_jaw_goes_as_far_as_its_mesh() -> None:
    mesh = 0.4 * mean_mesh() + (0.5, 0.55, 0)
    regions = np.full((100, 100), int(Region.SKIN), np.uint8)
    chin, cheek = (mesh[[152, 50], :2] * 100).astype(int)
    regions[chin[1] - 8 :] = Region.NECK
    regions[cheek[1], cheek[0]] = Region.BACKGROUND
    regions[cheek[1], cheek[0] + 3] = Region.HAIR
    whole = with_whole_jaw(regions, mesh)
    assert whole[chin[1] - 3, 50] == whole[cheek[1], cheek[0]] == Region.SKIN
    assert whole[chin[1] + 3, 50] == Region.NECK
    assert whole[cheek[1], cheek[0] + 3] == Region.HAIR, "a strand stays"
    assert with_whole_jaw(regions, mesh, (Region.NECK,))[cheek[1], cheek[0]] == Region.BACKGROUND, "it may be a hand"


def test_a_part_reads_no_more_of_the_plate_than_it_needs(swap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    plain = regional_shot.read_frames

    def noted(clip, numbers):
        read.extend(numbers)
        return plain(clip, numbers)

    monkeypatch.setattr(regional_shot, "read_frames", noted)
    monkeypatch.setattr(regional_shot, "_LOOKED_AT", 1)
    swap(first=3, last=3, steady=0, regional=RegionalOptions(calm=0, textures="frame"))
    # The first is looked at, for glasses if for nothing else.
    assert read == [1, 3]
    read.clear()
    # The last has a neighbour.
    regional = RegionalOptions(calm=1)
    swap(first=4, last=4, steady=0, regional=regional, output=tmp_path / "other" / "shot.####.png")
    assert read == [1, 3, 4]


def test_regions_that_one_of_them_lacks_are_named(swap, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--regions chin: the regions are lips"):
        swap(regional=RegionalOptions(regions=("lips,chin=0.5",)))
    with pytest.raises(OptionError, match="--regions nose=2: a strength"):
        RegionalOptions(regions=("eyes,nose=2",))
    with pytest.raises(OptionError, match="no glasses can be seen of .*source.png"):
        swap(regional=RegionalOptions(regions=("lips", "glasses=0.5")))
    # A closed mouth is no hindrance, nor is one that the whole face needs.
    assert swap(regional=RegionalOptions(regions=("lips,mouth",))).swapped == FRAMES
    # Hair is in the source and, of a plate without, a swap has nothing to put it on.
    bald = tmp_path / "bald" / "shot.png"
    draw(bald)
    picture = cv2.imread(str(bald))
    assert picture is not None
    picture[(picture == np.array(COLOURS[Region.HAIR])[::-1]).all(-1)] = COLOURS[Region.BACKGROUND][::-1]
    cv2.imwrite(str(bald), picture)
    with pytest.raises(OptionError, match="shows no hair"):
        swap(plate=str(bald), output=tmp_path / "out.png", regional=RegionalOptions(regions=("hair",)))


def test_a_source_with_two_faces_says_what_to_do(swap) -> None:
    with pytest.raises(FaceError, match=r"source.png shows 2 faces: .* Cut it"):
        swap(finder=Finder(count=2), person=(1,))
