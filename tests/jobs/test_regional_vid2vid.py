"""face-vid2vid as the reenactor of a swap by region: what it is shown, where its faces lie, what is said where it is missing."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.errors import InternalError, OptionError, WeightsError
from understudy.faces.align import canonical_transform
from understudy.faces.regions import Region
from understudy.faces.topology import LIPS_INNER
from understudy.jobs import regional_vid2vid
from understudy.jobs.options_regional import RegionalOptions
from understudy.jobs.options_swap import SwapOptions
from understudy.jobs.regional_drive import FACE_VID2VID, Watcher, find_reenactor, open_reenactor
from understudy.jobs.regional_source import Source, read_source
from understudy.jobs.regional_vid2vid import Vid2VidDriven
from understudy.jobs.shot import swap_shot
from understudy.perform.regions import scaled
from understudy.provenance.record import RunRecord

from .test_edit import COLOURS, OTHER_LIPS, Finder
from .test_measure_regions import data, measure
from .test_regional_shot import SOURCE_SKIN, Colours, Joining, draw, swap, target_mesh

__all__ = ["data", "swap"]  # fixtures


class Repeater:
    """Stands for the networks: what it watches is the middle of the crop, and what it makes is the source's crop."""

    size, oval_share = 96, 0.5

    def __init__(self) -> None:
        self.shown: list[np.ndarray] = []
        self.asked: list[np.ndarray] = []

    def read(self, crop: np.ndarray) -> np.ndarray:
        return crop

    def watch(self, crop: np.ndarray) -> np.ndarray:
        assert crop.shape == (96, 96, 3)
        self.shown.append(crop)
        return crop[48, 48]

    def drive(self, source: np.ndarray, watched: np.ndarray) -> np.ndarray:
        self.asked.append(watched)
        return source


@pytest.fixture
def source(tmp_path: Path) -> Source:
    path = draw(tmp_path / "source.png", skin=SOURCE_SKIN, lips=OTHER_LIPS)
    return read_source(
        [path], editor=Joining(), parser=Colours(), finder=Finder(), cache=None, record=RunRecord.begin("test")
    )


def test_it_is_shown_the_plates_face_as_large_as_its_own(source: Source, tmp_path: Path) -> None:
    driver = Repeater()
    subject = Vid2VidDriven(source, driver, Joining(), Colours())  # type: ignore[arg-type]
    assert isinstance(subject, Watcher) and subject.own_textures
    mesh = target_mesh()
    plate = np.zeros((200, 240, 3), np.float32)
    for point in mesh[[10, 152]]:  # forehead and chin
        cv2.circle(plate, (round(float(point[0])), round(float(point[1]))), 1, (1, 1, 1), -1)
    subject.watch(plate, mesh)
    (shown,) = driver.shown
    rows = np.flatnonzero(shown.max((1, 2)) > 0.3)
    own = scaled(canonical_transform(mesh), 0.5).points_to_crop(mesh, 96)
    assert rows.max() - rows.min() == pytest.approx(own[152, 1] - own[10, 1], abs=3)
    assert shown.max() <= 1 and shown.min() >= 0


def test_its_faces_lie_where_its_mesh_says(source: Source) -> None:
    driver = Repeater()
    subject = Vid2VidDriven(source, driver, Joining(), Colours())  # type: ignore[arg-type]
    # The source's own mesh drives, so that what is made is what it would be.
    own = source.faces[0].landmarks
    face = subject.driven(own, np.arange(3.0))
    np.testing.assert_array_equal(driver.asked[0], np.arange(3.0))
    side = len(source.faces[0].face.regions)
    assert face.crop.shape == (64, 64, 3) and face.regions.shape == (side, side)
    rows, columns = np.nonzero(face.regions == Region.LIPS)
    lips = subject.mesh(own)[LIPS_INNER, :2].mean(0)
    np.testing.assert_allclose((columns.mean() / side, rows.mean() / side), lips, atol=0.06)
    # Like the source's own crop, though both went through another size.
    assert subject.driven(own, np.arange(3.0)) is face and len(driver.asked) == 1, "asked again, not made again"
    agree = (face.regions == source.faces[0].face.regions).mean()
    assert agree > 0.9
    with pytest.raises(InternalError, match="not looked at"):
        subject.driven(own)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Repeater:
    """What any face-vid2vid that is opened by name goes by."""
    found = Repeater()
    (tmp_path / "00000189-checkpoint.pth.tar").write_bytes(b"weights")
    monkeypatch.setattr(regional_vid2vid, "find_vid2vid", lambda: tmp_path / "00000189-checkpoint.pth.tar")
    monkeypatch.setattr(
        regional_vid2vid,
        "open_vid2vid",
        lambda source, path, *, editor, parser, device: Vid2VidDriven(source, found, editor, parser),  # type: ignore[arg-type]
    )
    return found


def test_measuring_shows_it_the_target(data: Path, driver: Repeater) -> None:
    report = measure(data, reenact=(FACE_VID2VID,), pictures=2)
    assert f"swap, {FACE_VID2VID}" in report.swaps
    assert len(driver.shown) == len(driver.asked) == report.pairs
    for shown in driver.shown:
        np.testing.assert_allclose(shown[48, 48] * 255, COLOURS[Region.SKIN], atol=2)


def test_a_swap_shows_it_every_frame_that_it_makes(swap, driver: Repeater, tmp_path: Path) -> None:
    report = swap(regional=RegionalOptions(reenact=FACE_VID2VID, light="source"))
    picture = cv2.imread(str(tmp_path / "out" / "shot.0002.png"))
    assert picture is not None
    np.testing.assert_allclose(picture[100, 120, ::-1], SOURCE_SKIN, atol=14)
    assert len(driver.shown) == 4 and report.swapped == 4
    # The middle of the plate's face is its skin, or near it.
    for watched in driver.asked:
        np.testing.assert_allclose(watched * 255, COLOURS[Region.SKIN], atol=60)
    assert "00000189-checkpoint.pth.tar" in Path(report.record).read_text()


# -- by name -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    models = tmp_path / "models"
    models.mkdir()
    monkeypatch.setenv("UNDERSTUDY_MODELS", str(models))
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "cache"))
    return models


def test_without_its_weights_a_sentence_says_what_to_bring(nowhere: Path, tmp_path: Path) -> None:
    wanted = r"--reenact face-vid2vid: .* bring 00000189-checkpoint.pth.tar yourself .*UNDERSTUDY_MODELS.*CC BY-NC 4.0"
    with pytest.raises(WeightsError, match=wanted):
        find_reenactor(FACE_VID2VID)
    # Before the plate is opened, which is not there.
    source = draw(tmp_path / "source.png")
    options = SwapOptions(
        plate=str(tmp_path / "plate.mov"),
        identity=str(source),
        method="regional_inversion",
        regional=RegionalOptions(reenact=FACE_VID2VID),
    )
    with pytest.raises(WeightsError, match=wanted):
        swap_shot(options, finder=Finder())


def test_other_weights_of_that_name_are_refused(nowhere: Path, source: Source) -> None:
    import torch

    from understudy.errors import CheckpointError

    path = nowhere / "00000189-checkpoint.pth.tar"
    torch.save({"generator": {}, "epoch": 1}, path)
    assert find_reenactor(FACE_VID2VID) == path
    with pytest.raises(CheckpointError, match="no kp_detector and no he_estimator"):
        open_reenactor(FACE_VID2VID, source, editor=Joining(), parser=Colours(), device="cpu")


def test_unknown_reenactors_are_told_of_all() -> None:
    with pytest.raises(
        OptionError, match=r"--reenact nobody .*these do: .*There are also mesh, none and face-vid2vid."
    ):
        find_reenactor("nobody")
    assert find_reenactor("mesh") is None and find_reenactor("none") is None
