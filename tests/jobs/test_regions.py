"""Footage to regions, with drawn faces and a parser that goes by the mesh in place of models."""

from __future__ import annotations

import json

import cv2
import numpy as np
import OpenImageIO as oiio  # noqa: N813
import pytest

from understudy.cli import main
from understudy.errors import FaceError, MediaError, OptionError, WeightsError
from understudy.faces.align import fit_mesh, mean_mesh
from understudy.faces.face import Face
from understudy.faces.parse import GUIDE, face_mask
from understudy.faces.regions import PALETTE, Region
from understudy.jobs.options_track import TrackOptions
from understudy.jobs.regions import RegionsOptions, find_regions
from understudy.media.formats.cryptomatte import as_float, id_of
from understudy.media.formats.indexed_png import read_indexed
from understudy.perform import regions
from understudy.provenance.record import record_path

PLAIN = TrackOptions(stabilise=False)
WIDTH, HEIGHT = 200, 160
SKIN = (230, 180, 150)


def mesh(track: int) -> np.ndarray:
    return (60 * mean_mesh() + (55 + 90 * track, 80, 0)).astype(np.float32)


def picture(tracks=(0,)) -> np.ndarray:
    """(h, w, 3) uint8 RGB: skin on gray."""
    shown = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    for track in tracks:
        shown[face_mask(mesh(track), (WIDTH, HEIGHT)) > 0.5] = SKIN
    return shown


class Finder:
    """Finds the tracks of a script: number -> tracks."""

    weights: dict[str, str] = {}

    def __init__(self, script):
        self.script = script

    def follow(self, frames):
        for number, _ in frames:
            found = []
            for track in self.script.get(number, ()):
                points = mesh(track)
                box = np.concatenate([points[:, :2].min(0), points[:, :2].max(0)])
                found.append(Face(box=box, landmarks=points, score=0.9, pose=fit_mesh(points).pose, track=track))
            yield number, found

    def stabilise(self, picture, faces, perturbations):
        return np.stack([face.landmarks for face in faces])


class ByMesh:
    """Skin where it is light, lips where the mesh has them; with ``flicker`` the third frame's skin is called hair."""

    size, oval_share, source = 64, 0.42, None

    def __init__(self, flicker=False):
        self.flicker, self.calls = flicker, 0

    def parse(self, crops, guides=None):
        assert guides is not None
        self.calls += 1
        shares = np.zeros((*crops.shape[:3], len(Region)), np.float32)
        skin = Region.HAIR if self.flicker and self.calls == 3 else Region.SKIN
        shares[..., skin] = crops.mean(-1) > 0.5
        lips = guides[:, GUIDE.index("lips")] > 127
        shares[lips] = 0
        shares[lips, Region.LIPS] = 1
        shares[..., Region.BACKGROUND] = 1 - shares.sum(-1)
        return shares


@pytest.fixture(autouse=True)
def _small_canvas(monkeypatch):
    """A ninth of the work; the faces here are small."""
    monkeypatch.setattr(regions, "CANVAS", 256)
    monkeypatch.setattr(regions, "_FITTED", 128)


@pytest.fixture
def still(tmp_path):
    path = tmp_path / "portrait.png"
    cv2.imwrite(str(path), picture()[..., ::-1])
    return str(path)


@pytest.fixture
def clip(tmp_path):
    for number in range(1001, 1006):
        cv2.imwrite(str(tmp_path / f"take.{number}.png"), picture()[..., ::-1])
    return str(tmp_path / "take.####.png")


def find(source, script, *, parser=None, **options):
    options = {"track": PLAIN, "sheet": False, **options}
    return find_regions(RegionsOptions(source=source, **options), finder=Finder(script), parser=parser or ByMesh())


def indexed(path) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
    read = read_indexed(path.read_bytes())
    assert read is not None
    return read


def matte(path) -> np.ndarray:
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return pixels


def test_a_still_as_numbers(still, tmp_path):
    report = find(still, {1: [0]}, output=tmp_path / "regions.png", sheet=True)
    assert report.form == "indexed" and report.files == 1 and report.made == 1
    labels, palette, texts = indexed(tmp_path / "regions.png")
    np.testing.assert_array_equal(palette, PALETTE)
    assert texts["Label 1"] == "lips" and texts["Label 11"] == "earrings"
    assert labels.shape == (HEIGHT, WIDTH)
    truth = face_mask(mesh(0), (WIDTH, HEIGHT)) > 0.5
    found = np.isin(labels, (Region.SKIN, Region.LIPS))
    assert (truth & found).sum() / (truth | found).sum() > 0.95
    x, y = mesh(0)[[14, 17], :2].mean(0).astype(int)
    assert labels[y, x] == Region.LIPS
    assert report.shares["skin"] == pytest.approx((labels == Region.SKIN).mean(), abs=0.01)
    record = json.loads(record_path(tmp_path / "regions.png").read_text())
    assert record["command"] == "regions" and record["inputs"]
    assert report.sheet == tmp_path / "regions.sheet.png" and cv2.imread(str(report.sheet)) is not None


def test_mattes_are_one_rgba_picture_a_region(still, tmp_path):
    report = find(still, {1: [0]}, output=tmp_path / "mattes")
    assert report.form == "mattes" and report.files == 12
    names = sorted(path.name for path in (tmp_path / "mattes").iterdir())
    assert names == sorted(f"{region.name.lower()}.png" for region in Region)
    skin = matte(tmp_path / "mattes" / "skin.png")
    assert skin.shape == (HEIGHT, WIDTH, 4) and skin.dtype == np.uint8
    np.testing.assert_array_equal(skin[..., 2::-1], picture())  # straight alpha: the colours are the picture's own
    assert skin[85, 40, 3] == 255 and skin[5, 5, 3] == 0
    alphas = [matte(path)[..., 3].astype(int) for path in (tmp_path / "mattes").iterdir()]
    assert np.abs(sum(alphas) - 255).max() <= 6  # twelve roundings


def test_only_some_mattes_beside_a_picture(still, tmp_path):
    find(still, {1: [0]}, output=tmp_path / "a.png", form="mattes", only=("lips", "skin"))
    assert sorted(path.name for path in tmp_path.glob("a.*.png")) == ["a.lips.png", "a.skin.png"]
    with pytest.raises(OptionError, match="--only lip: the regions are background, lips"):
        find(still, {1: [0]}, output=tmp_path / "b.exr", only=("lip",))


def test_layers_are_soft_and_carry_a_cryptomatte(still, tmp_path):
    report = find(still, {1: [0]}, output=tmp_path / "regions.exr")
    assert report.form == "layers"
    opened = oiio.ImageInput.open(str(tmp_path / "regions.exr"))
    assert opened is not None
    spec, pixels = opened.spec(), opened.read_image("float")
    assert pixels is not None
    at = {name: pixels[..., place] for place, name in enumerate(spec.channelnames)}
    assert {"R", "G", "B", "lips.A", "hair.A", "CryptoRegion00.R", "CryptoRegion02.A"} <= set(at)
    total = sum(at[f"{region.name.lower()}.A"] for region in Region)
    np.testing.assert_allclose(total, 1, atol=4e-3)
    inside = at["skin.A"] > 0.95
    assert inside.sum() > 500
    np.testing.assert_array_equal(at["CryptoRegion00.R"][inside], as_float(id_of("skin")))
    np.testing.assert_allclose(at["CryptoRegion00.G"][inside], at["skin.A"][inside], atol=1e-3)


def test_a_clip_goes_on_where_it_was_stopped(clip, tmp_path):
    output = tmp_path / "out" / "r.####.png"
    script = {number: [0] for number in range(1001, 1006)}

    class Stops(ByMesh):
        def parse(self, crops, guides=None):
            if self.calls == 3:
                raise KeyboardInterrupt
            return super().parse(crops, guides)

    with pytest.raises(KeyboardInterrupt):
        find(clip, script, output=output, parser=Stops())
    there = sorted(path.name for path in output.parent.glob("r.*.png"))
    assert there == ["r.1001.png", "r.1002.png"]
    report = find(clip, script, output=output)
    assert report.made == 3 and report.num_frames == 5 and report.empty == ()
    whole = find(clip, script, output=tmp_path / "again" / "r.####.png")
    assert whole.made == 5
    for number in range(1001, 1006):
        name = f"r.{number}.png"
        assert (output.parent / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_neighbours_steady_a_flicker(clip, tmp_path):
    script = {number: [0] for number in range(1001, 1006)}

    def labels(steady):
        output = tmp_path / f"s{steady}" / "r.####.png"
        find(clip, script, output=output, parser=ByMesh(flicker=True), steady=steady)
        middle = [indexed(output.with_name(f"r.{n}.png"))[0][85, 40] for n in range(1001, 1006)]
        return [int(label) for label in middle]

    assert labels(0) == [Region.SKIN, Region.SKIN, Region.HAIR, Region.SKIN, Region.SKIN]
    assert labels(1) == [Region.SKIN] * 5


def test_frames_without_the_face_are_background_and_listed(clip, tmp_path):
    output = tmp_path / "out" / "r.####.png"
    report = find(clip, {1001: [0], 1002: [0], 1004: [0], 1005: [0]}, output=output)
    assert report.empty == (1003,)
    assert not indexed(output.parent / "r.1003.png")[0].any()


def test_overlap_with_the_truth(still, tmp_path):
    first = find(still, {1: [0]}, output=tmp_path / "a.png")
    assert first.mean_overlap is None and not first.overlap
    same = find(still, {1: [0]}, output=tmp_path / "b.png", truth=tmp_path / "a.png")
    assert same.mean_overlap == 1 and same.overlap["skin"] == 1
    labels = indexed(tmp_path / "a.png")[0].copy()
    gone = labels == Region.LIPS
    labels[gone] = Region.SKIN
    cv2.imwrite(str(tmp_path / "gray.png"), labels)
    other = find(still, {1: [0]}, output=tmp_path / "c.png", truth=tmp_path / "gray.png")
    skin = (labels == Region.SKIN).sum()
    assert other.overlap["lips"] == 0 and other.overlap["skin"] == pytest.approx(1 - gone.sum() / skin, abs=1e-4)
    cv2.imwrite(str(tmp_path / "small.png"), labels[:50])
    with pytest.raises(MediaError, match="has 200 x 50 pixels and the picture 200 x 160"):
        find(still, {1: [0]}, output=tmp_path / "d.png", truth=tmp_path / "small.png")
    cv2.imwrite(str(tmp_path / "odd.png"), labels + 20)
    with pytest.raises(MediaError, match="holds the number 26"):
        find(still, {1: [0]}, output=tmp_path / "d.png", truth=tmp_path / "odd.png")
    with pytest.raises(MediaError, match="no region map"):
        find(still, {1: [0]}, output=tmp_path / "d.png", truth=tmp_path / "portrait.png")


def test_several_people(tmp_path):
    path = tmp_path / "two.png"
    cv2.imwrite(str(path), picture((0, 1))[..., ::-1])
    with pytest.raises(FaceError, match="shows 2 people.*--person NUMBER, or --everyone"):
        find(str(path), {1: [0, 1]}, output=tmp_path / "r.png")
    assert (tmp_path / "r.people.png").is_file()
    everyone = find(str(path), {1: [0, 1]}, output=tmp_path / "all.png", everyone=True)
    one = find(str(path), {1: [0, 1]}, output=tmp_path / "one.png", person=(1,))
    assert one.shares["skin"] == pytest.approx(everyone.shares["skin"] / 2, rel=0.1)
    with pytest.raises(OptionError, match="--person 3 is nobody"):
        find(str(path), {1: [0, 1]}, output=tmp_path / "x.png", person=(3,))


def test_sixteen_bit_and_float_plates(tmp_path):
    deep = picture().astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / "deep.png"), deep[..., ::-1])
    find(str(tmp_path / "deep.png"), {1: [0]}, output=tmp_path / "m", only=("skin",))
    skin = matte(tmp_path / "m" / "skin.png")
    assert skin.dtype == np.uint16 and skin[85, 40, 3] == 65535
    np.testing.assert_array_equal(skin[..., 2::-1], deep)

    spec = oiio.ImageSpec(WIDTH, HEIGHT, 3, "half")
    out = oiio.ImageOutput.create("openexr")
    assert out is not None
    linear = ((picture() / 255.0) ** 2.2).astype(np.float32)
    linear[85, 60] = np.nan
    out.open(str(tmp_path / "float.exr"), spec)
    out.write_image(linear)
    out.close()
    report = find(str(tmp_path / "float.exr"), {1: [0]}, output=tmp_path / "r.exr")
    assert report.shares["skin"] > 0.05


@pytest.mark.parametrize(
    ("output", "options", "message"),
    [
        ("r.mov", {}, "which a movie's compression would bend"),
        ("r.jpg", {}, "fits no form of regions"),
        ("r.png", {"form": "layers"}, "fits no form of regions"),
        ("r.png", {"only": ("lips",)}, "--only is for mattes and layers"),
        ("portrait.png", {}, "is the source itself"),
    ],
)
def test_outputs_that_do_not_fit(still, tmp_path, output, options, message):
    with pytest.raises(OptionError, match=message):
        find(still, {1: [0]}, output=tmp_path / output, **options)


def test_a_clip_needs_a_pattern(clip, tmp_path):
    with pytest.raises(OptionError, match=r"name a pattern such as .*r\.####\.png"):
        find(clip, {1001: [0]}, output=tmp_path / "r.png")
    report = find(clip, {number: [0] for number in range(1001, 1006)}, output=tmp_path / "m")
    assert report.files == 12 and (tmp_path / "m" / "lips.1003.png").is_file()


def test_parsers_that_are_not_there(still, tmp_path, monkeypatch):
    monkeypatch.setenv("UNDERSTUDY_MODELS", str(tmp_path))
    options = {"source": still, "output": tmp_path / "r.png", "track": PLAIN}
    with pytest.raises(WeightsError, match="79999_iter.pth"):
        find_regions(RegionsOptions(**options, parser="public"), finder=Finder({1: [0]}))
    with pytest.raises(OptionError, match="--parser nobody: there is no such checkpoint"):
        find_regions(RegionsOptions(**options, parser="nobody"), finder=Finder({1: [0]}))


def test_options_that_exclude_each_other():
    with pytest.raises(OptionError, match="--person and --everyone"):
        RegionsOptions(source="x", person=(1,), everyone=True)
    with pytest.raises(OptionError, match="between 0 and 8"):
        RegionsOptions(source="x", steady=9)


def test_a_picture_without_faces(still, tmp_path):
    with pytest.raises(FaceError, match="No face was found"):
        find(still, {}, output=tmp_path / "r.png")


def test_the_command_speaks_of_a_missing_file(capsys, tmp_path):
    assert main(["regions", str(tmp_path / "nobody.jpg")]) == 2
    assert "was not found" in capsys.readouterr().err
