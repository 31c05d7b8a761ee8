"""Editing a still by region, with a drawn face, a stand-in model that paints regions in their colours, and one that reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy import families
from understudy.errors import CheckpointError, ConsentError, FaceError, MediaError, OptionError
from understudy.faces.align import fit_mesh, mean_mesh
from understudy.faces.face import Face
from understudy.faces.regions import Region
from understudy.family import Textures
from understudy.jobs.edit import EditOptions, edit_regions
from understudy.jobs.options_edit import parse_style
from understudy.jobs.region_files import read_regions
from understudy.jobs.regions import RegionsOptions, find_regions
from understudy.perform.region_faces import find_editor

WIDTH, HEIGHT, FACE = 240, 200, 80
COLOURS = {
    Region.BACKGROUND: (60, 60, 60),
    Region.SKIN: (210, 160, 130),
    Region.LIPS: (200, 60, 80),
    Region.HAIR: (70, 45, 30),
}
OTHER_LIPS = (120, 30, 160)
CONSENT = 'granted_by = "me"\nscope = ["render"]\nsynthetic = true\n'


def still(path: Path, *, lips: tuple[int, int, int] | None = COLOURS[Region.LIPS], kind: type = np.uint8) -> Path:
    """A face whose regions are plain colours, with a consent record beside it."""
    picture = np.full((HEIGHT, WIDTH, 3), COLOURS[Region.BACKGROUND], np.uint8)
    cv2.ellipse(picture, (120, 90), (40, 50), 0, 0, 360, COLOURS[Region.HAIR], -1)
    cv2.ellipse(picture, (120, 100), (30, 40), 0, 0, 360, COLOURS[Region.SKIN], -1)
    if lips is not None:
        cv2.rectangle(picture, (110, 118), (130, 126), lips, -1)
    pixels = picture if kind is np.uint8 else picture.astype(np.uint16) * 257
    cv2.imwrite(str(path), pixels[..., ::-1])
    path.with_suffix(".consent.toml").write_text(CONSENT)
    return path


@dataclass
class Finder:
    """Finds ``count`` faces in the middle of every picture."""

    count: int = 1
    weights: dict[str, str] = field(default_factory=lambda: {"models.task": "ab" * 32})

    def follow(self, frames: Iterable[tuple[int, np.ndarray]]) -> Iterator[tuple[int, list[Face]]]:
        for number, _ in frames:
            yield number, [self._face(track) for track in range(self.count)]

    def stabilise(self, picture: np.ndarray, faces: Sequence[Face], perturbations: int) -> np.ndarray:
        return np.stack([face.landmarks for face in faces])

    def _face(self, track: int) -> Face:
        points = (FACE * mean_mesh() + (120 + 60 * track, 100, 0)).astype(np.float32)
        box = np.concatenate([points[:, :2].min(axis=0), points[:, :2].max(axis=0)])
        return Face(box=box, landmarks=points, score=0.9, pose=fit_mesh(points).pose, track=track, visible=1.0)


class Parser:
    """Tells regions by their colours."""

    size, oval_share, source = 64, 0.42, None

    def parse(self, crops: np.ndarray, guides: np.ndarray | None = None) -> np.ndarray:
        known = [*COLOURS.items(), (Region.LIPS, OTHER_LIPS)]
        colours = np.array([colour for _, colour in known], np.float32) / 255
        nearest = np.abs(crops[..., None, :] - colours).sum(-1).argmin(-1)
        labels = np.array([region for region, _ in known])[nearest]
        return np.eye(12, dtype=np.float32)[labels]


class Editor:
    """Paints every region in its mean colour."""

    size, map_size, oval_share, detail_size = 64, 64, 0.4, 0.04

    def __init__(self) -> None:
        self.fitted = 0

    def read(self, crops: np.ndarray, regions: np.ndarray) -> Textures:
        values, shown = np.zeros((len(crops), 12, 3), np.float32), np.zeros((len(crops), 12), bool)
        for row, (crop, labels) in enumerate(zip(crops, regions, strict=True)):
            for region in np.unique(labels):
                values[row, region], shown[row, region] = crop[labels == region].mean(0), True
        return Textures(values=values, shown=shown)

    def make(self, values: np.ndarray, regions: np.ndarray) -> np.ndarray:
        return np.stack([row[labels] for row, labels in zip(values, regions, strict=True)])

    def terms(self) -> tuple[dict[str, float], tuple[str, ...]]:
        return {"l2": 1.0}, ("lpips",)

    def optimise(self, crop, regions, values, *, steps=200, progress=lambda done, total: None):
        self.fitted = steps
        progress(steps, steps)
        return values + np.float32(0.001), [0.5, 0.25, 0.3]


def edit(tmp_path: Path, *, finder: Finder | None = None, editor: Editor | None = None, **options):
    options = {"still": str(still(tmp_path / "portrait.png")), "output": tmp_path / "edited.png", **options}
    return edit_regions(EditOptions(**options), editor=editor or Editor(), parser=Parser(), finder=finder or Finder())


def read(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., ::-1]


def test_lips_come_from_another_picture(tmp_path: Path) -> None:
    other = still(tmp_path / "other.png", lips=OTHER_LIPS)
    report = edit(tmp_path, style=(f"lips={other}",))
    before, after = read(tmp_path / "portrait.png"), read(report.output)
    np.testing.assert_allclose(after[122, 120], OTHER_LIPS, atol=12)
    changed = (before != after).any(-1)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    assert rows.min() > 108 and rows.max() < 136 and columns.min() > 100 and columns.max() < 140
    assert report.changed.keys() == {"lips"}
    assert report.sheet.is_file() and report.record.is_file() and report.fit == {}


def test_a_part_of_a_texture(tmp_path: Path) -> None:
    other = still(tmp_path / "other.png", lips=OTHER_LIPS)
    after = read(edit(tmp_path, style=(f"lips={other}:0.5",)).output)
    wanted = (np.array(OTHER_LIPS) + COLOURS[Region.LIPS]) / 2
    np.testing.assert_allclose(after[122, 120], wanted, atol=12)


def test_sixteen_bits_keep_what_does_not_change(tmp_path: Path) -> None:
    portrait = still(tmp_path / "deep.png", kind=np.uint16)
    other = still(tmp_path / "other.png", lips=OTHER_LIPS)
    report = edit(tmp_path, still=str(portrait), style=(f"lips={other}",))
    before, after = read(portrait), read(report.output)
    assert after.dtype == np.uint16
    assert np.array_equal(before[:100], after[:100])


def test_a_repainted_map_moves_a_shape(tmp_path: Path) -> None:
    still(tmp_path / "portrait.png")
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.ellipse(labels, (120, 90), (40, 50), 0, 0, 360, int(Region.HAIR), -1)
    cv2.ellipse(labels, (120, 100), (30, 40), 0, 0, 360, int(Region.SKIN), -1)
    cv2.rectangle(labels, (110, 108), (130, 116), int(Region.LIPS), -1)  # ten pixels further up
    cv2.imwrite(str(tmp_path / "map.png"), labels)
    report = edit(tmp_path, mask=tmp_path / "map.png")
    after = read(report.output)
    np.testing.assert_allclose(after[112, 120], COLOURS[Region.LIPS], atol=12)
    np.testing.assert_allclose(after[123, 120], COLOURS[Region.SKIN], atol=12)
    assert {"lips", "skin"} <= report.changed.keys()


def test_only_what_was_painted_changes(tmp_path: Path) -> None:
    """The map that ``regions`` wrote changes nothing, and a stroke in it nothing but itself."""
    portrait, path = still(tmp_path / "portrait.png"), tmp_path / "map.png"
    find_regions(RegionsOptions(source=str(portrait), output=path), finder=Finder(), parser=Parser())
    report = edit(tmp_path, mask=path)
    assert report.changed == {} and "is the map as it was read" in report.notes[0]
    np.testing.assert_array_equal(read(report.output), read(portrait))
    labels = read_regions(path, (WIDTH, HEIGHT)).copy()
    labels[104:110, 110:130] = Region.LIPS
    cv2.imwrite(str(path), labels)
    report = edit(tmp_path, mask=path)
    changed = (read(report.output) != read(portrait)).any(-1)
    assert set(report.changed) == {"lips"} and changed[106, 120]
    assert not changed[:100].any() and not changed[114:].any() and not changed[:, :104].any()
    labels[:] = read_regions(path, (WIDTH, HEIGHT))
    labels[104:110, 110:130] = Region.SKIN
    labels[0, :3] = Region.HAIR
    cv2.imwrite(str(path), labels)
    assert "far from the face" in edit(tmp_path, mask=path).notes[0]


def test_a_map_may_not_paint_what_has_no_look(tmp_path: Path) -> None:
    still(tmp_path / "portrait.png")
    labels = np.full((HEIGHT, WIDTH), int(Region.GLASSES), np.uint8)
    cv2.imwrite(str(tmp_path / "map.png"), labels)
    with pytest.raises(OptionError, match="paints glasses, which the picture does not show: give its look"):
        edit(tmp_path, mask=tmp_path / "map.png")
    cv2.imwrite(str(tmp_path / "small.png"), labels[:50])
    with pytest.raises(MediaError, match="as large as its picture"):
        edit(tmp_path, mask=tmp_path / "small.png")
    cv2.imwrite(str(tmp_path / "odd.png"), np.full((HEIGHT, WIDTH), 40, np.uint8))
    with pytest.raises(MediaError, match="holds the number 40"):
        edit(tmp_path, mask=tmp_path / "odd.png")


def test_fitting_comes_first_and_is_reported(tmp_path: Path) -> None:
    editor = Editor()
    report = edit(tmp_path, editor=editor, optimise=True, steps=30)
    assert editor.fitted == 30
    assert (report.fit_before, report.fit_after) == (0.5, 0.25)
    assert report.fit == {"l2": 1.0}
    assert "without lpips" in report.notes[0]


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    other = still(tmp_path / "plain.png", lips=None)
    with pytest.raises(OptionError, match="no lips can be seen in that picture"):
        edit(tmp_path, style=(f"lips={other}",))
    with pytest.raises(OptionError, match="--style chin=.*: the regions are background"):
        edit(tmp_path, style=(f"chin={other}",))
    with pytest.raises(FaceError, match="shows 2 faces"):
        edit(tmp_path, style=(f"lips={other}",), finder=Finder(count=2))
    with_lips = still(tmp_path / "lips.png", lips=OTHER_LIPS)
    with pytest.raises(OptionError, match="plain.png shows no lips to put it on"):
        edit(tmp_path, still=str(other), style=(f"lips={with_lips}",))
    with pytest.raises(FaceError, match="lips.png shows 2 faces.* Cut it"):
        edit(tmp_path, style=(f"lips={with_lips}",), finder=Finder(count=2), person=1)
    with pytest.raises(OptionError, match="is one picture"):
        edit(tmp_path, optimise=True, output=tmp_path / "edited.mp4")
    (tmp_path / "plain.consent.toml").unlink()
    with pytest.raises(ConsentError, match="plain.consent.toml beside it"):
        edit(tmp_path, style=(f"lips={other}",))
    with pytest.raises(OptionError, match="Say what is to change"):
        EditOptions(still="portrait.png")
    with pytest.raises(OptionError, match="--method comb does not edit by region"):
        find_editor(None, "comb")
    with pytest.raises(CheckpointError, match="is a warping model, and one of regional_inversion is needed"):
        find_editor(families.get("warping").default_weights)


def test_styles_are_read() -> None:
    style = parse_style("hair=a/b.jpg:0.6")
    assert (style.region, style.picture, style.strength) == ("hair", "a/b.jpg", 0.6)
    assert parse_style("lips=C:/x.jpg").picture == "C:/x.jpg"
    for wrong in ("lips", "lips=", "=x.jpg", "lips=x.jpg:7"):
        with pytest.raises(OptionError, match="--style"):
            parse_style(wrong)


def test_the_word_regions_may_be_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from understudy.cli import run

    assert run._with_usual(["edit", "portrait.jpg", "--optimise"]) == ["edit", "regions", "portrait.jpg", "--optimise"]
    assert run._with_usual(["edit", "landmarks", "--list"]) == ["edit", "landmarks", "--list"]
    assert run._with_usual(["edit"]) == ["edit"]
    assert run._with_usual(["weights", "list"]) == ["weights", "list"]
