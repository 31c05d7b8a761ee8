"""Measuring models by region on drawn people whose regions are plain colours, which the stand-in model gives back exactly."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy import families
from understudy.checkpoint import load_checkpoint, save_checkpoint
from understudy.errors import DatasetError, OptionError
from understudy.faces.align import mean_mesh
from understudy.faces.regions import Region
from understudy.families.regional_inversion.parsing import PACKAGED
from understudy.families.regional_inversion.recompose import join_faces
from understudy.families.regional_inversion.test_perform import TINY
from understudy.jobs.evaluate_model import EvaluateModelOptions, evaluate_model
from understudy.jobs.measure_regions import (
    MEAN_COLOURS,
    UNCHANGED,
    MeasureRegionsOptions,
    measure_regions,
)
from understudy.jobs.region_cases import choose_pairs, spread

from .test_edit import COLOURS, FACE, OTHER_LIPS, Editor, Parser

LIPS = (COLOURS[Region.LIPS], OTHER_LIPS)
SHIFT = 6  # pixels between one person's first and second picture


class Joining(Editor):
    def join(self, target, driven, *, regions=(), order="paper", moving=False):
        return join_faces(target, driven, regions=regions, order=order, moving=moving, side=self.size)


def seen(crops, near):
    """A mesh where the crop is not of one colour."""
    return [np.hstack([points, np.zeros((len(points), 1))]) if crop.std() > 0 else None
            for crop, points in zip(crops, near, strict=True)]  # fmt: skip


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two people, told apart by their lips, on two pictures each."""
    monkeypatch.setenv("UNDERSTUDY_MODELS", str(tmp_path))
    folder = tmp_path / "heldback"
    (folder / "pictures").mkdir(parents=True)
    (folder / "regions").mkdir()
    names, points = [], []
    for person, lips in enumerate(LIPS):
        for number in range(2):
            middle = 120 + SHIFT * number
            labels = np.zeros((200, 240), np.uint8)
            cv2.ellipse(labels, (middle, 90), (40, 50), 0, 0, 360, int(Region.HAIR), -1)
            cv2.ellipse(labels, (middle, 100), (30, 40), 0, 0, 360, int(Region.SKIN), -1)
            cv2.rectangle(labels, (middle - 10, 118), (middle + 10, 126), int(Region.LIPS), -1)
            table = np.zeros((12, 3), np.uint8)
            for region, colour in COLOURS.items():
                table[region] = colour
            table[Region.LIPS] = lips
            names.append(f"{person}_{number}")
            cv2.imwrite(str(folder / "pictures" / f"{names[-1]}.png"), table[labels][..., ::-1])
            cv2.imwrite(str(folder / "regions" / f"{names[-1]}.png"), labels)
            points.append(FACE * mean_mesh() + (middle, 100, 0))
    np.savez(folder / "landmarks.npz", names=np.array(names), points=np.array(points, np.float32))
    return folder


def measure(data: Path, *, editors=None, **options):
    options = {"pictures": 4, "pairs": 4, "output": data.parent / "sheet.png", **options}
    return measure_regions(
        MeasureRegionsOptions(data=data, **options), editors=editors or {"it": Joining()}, parser=Parser(), measure=seen
    )


def test_a_model_that_paints_mean_colours_is_the_baseline(data: Path) -> None:
    report = measure(data, reenact=("none",), optimise=3)
    assert (report.pictures, report.people, report.pairs, report.gallery) == (4, 2, 4, 2)
    assert set(report.reconstruction) == {MEAN_COLOURS, "true regions", "the parser's regions", "fitted in 3 steps"}
    for name, value in report.reconstruction[MEAN_COLOURS].items():
        assert report.reconstruction["true regions"][name] == pytest.approx(value, rel=1e-5)
    # The colours of the picture are blended at edges alone, and the drawn parser knows them by heart.
    assert report.reconstruction["true regions"]["psnr"] > 20
    assert report.mean_overlap > 0.9 and set(report.overlap) == {"background", "lips", "hair", "skin"}
    assert report.sheet.is_file()
    assert {"parse", "encode", "make", "swap", "edit", "fit"} == set(report.seconds["it"])


def test_an_error_of_known_size(data: Path) -> None:
    class Brighter(Joining):
        def make(self, values, regions):
            return super().make(values, regions) + np.float32(0.1)

    report = measure(data, pairs=0, editors={"exact": Joining(), "brighter": Brighter()})
    exact, brighter = (report.reconstruction[f"{name}, true regions"] for name in ("exact", "brighter"))
    # Mean colours are right on average, so the squares add up: region by region the made pictures differ by 0.1 alone.
    assert brighter["rmse"] == pytest.approx(np.hypot(exact["rmse"], 0.1), abs=2e-3)
    assert report.swaps == {} and MEAN_COLOURS in report.reconstruction


def test_swaps_keep_the_targets_pose(data: Path) -> None:
    report = measure(data, reenact=("mesh", "none"))
    assert set(report.swaps) == {UNCHANGED, "swap, mesh", "swap, none"}
    # The stand-in finds the target's own mesh on every crop.
    assert report.swaps["swap, mesh"]["pose"] == pytest.approx(0, abs=1e-4)
    assert report.swaps[UNCHANGED]["expression"] == pytest.approx(0, abs=1e-3)
    assert report.unread == 0
    assert any("identity" in sentence or "face" in sentence for sentence in report.missing)


def test_the_swap_has_the_sources_lips(data: Path) -> None:
    made = []

    def keep(crops, near):
        made.append([crop.copy() for crop in crops])
        return seen(crops, near)

    options = MeasureRegionsOptions(data=data, pictures=2, pairs=1, output=data.parent / "sheet.png")
    measure_regions(options, editors={"it": Joining()}, parser=Parser(), measure=keep)
    ((source, target),) = choose_pairs(["0", "0", "1", "1"], 1)
    lips = [LIPS[0], LIPS[0], LIPS[1], LIPS[1]]
    # Asked in turn: the unchanged target with its truth and the faces at rest, then the swap.
    unchanged, swapped = made[0][0], made[3][0]
    for crop, wanted in ((unchanged, lips[target]), (swapped, lips[source])):
        distance = np.abs(crop.astype(int) - np.array(wanted)).sum(-1)
        assert distance[len(crop) // 2 :].min() < 30


def test_pairs_are_of_different_people_and_never_twice() -> None:
    people = [str(k // 3) for k in range(12)]
    pairs = choose_pairs(people, 40, seed=1)
    assert len(pairs) == len(set(pairs)) == 40
    assert all(people[source] != people[target] for source, target in pairs)
    sources = np.bincount([source for source, _ in pairs], minlength=12)
    assert sources.min() >= 2 and pairs != choose_pairs(people, 40, seed=2)
    assert len(choose_pairs(["a", "b"], 100)) == 2 and choose_pairs(["a", "a"], 0) == []
    with pytest.raises(DatasetError, match="one person"):
        choose_pairs(["a", "a"], 1)
    assert spread(range(10), 3) == [0, 4, 9]  # type: ignore[arg-type]


def test_what_it_cannot_do_is_a_sentence(data: Path) -> None:
    with pytest.raises(OptionError, match="--pictures 1"):
        MeasureRegionsOptions(data=data, pictures=1)
    with pytest.raises(OptionError, match="--order"):
        MeasureRegionsOptions(data=data, order="mine")
    with pytest.raises(OptionError, match="--reenact nobody"):
        measure(data, reenact=("nobody",))
    for file in (data / "regions").iterdir():
        cv2.imwrite(str(file), np.full((200, 240), 12, np.uint8))
    with pytest.raises(DatasetError, match="id 12"):
        measure(data)


def inversion(path: Path) -> Path:
    """An untrained network, as a checkpoint."""
    recipe = families.get("regional_inversion").recipe("preview", stage="inversion")
    recipe = replace(recipe, network={**recipe.network, **asdict(TINY)})
    network = families.get("regional_inversion").trainable(recipe)
    tensors, card = network.checkpoint()
    _, other = load_checkpoint(PACKAGED)
    save_checkpoint(path, tensors, replace(other, network=card))
    return path


def test_evaluating_an_untrained_network_and_the_packaged_parser(data: Path) -> None:
    options = {"data": data, "pictures": 2, "device": "cpu"}
    report = evaluate_model(
        EvaluateModelOptions(run=str(inversion(data.parent / "net.safetensors")), output=data.parent / "a", **options)
    )
    assert set(report.scores) == {MEAN_COLOURS, "true regions", "the parser's regions"}
    assert {"ssim", "psnr", "rmse", "overlap", "overlap_lips"} <= set(report.overall)
    assert report.seen == "unknown" and report.report.is_file() and report.sheet.is_file()
    parser = evaluate_model(
        EvaluateModelOptions(run=str(PACKAGED), output=data.parent / "b", fail_below=("overlap_lips=2",), **options)
    )
    assert set(parser.scores) == {"the parser"} and not parser.passed
    assert 0 <= parser.overall["overlap"] <= 1
    with pytest.raises(OptionError, match="--data"):
        evaluate_model(EvaluateModelOptions(run=str(PACKAGED)))


def test_a_model_taught_on_the_same_folder_is_told(data: Path) -> None:
    path = inversion(data.parent / "net.safetensors")
    path.with_name("net.safetensors.record.json").write_text(f'{{"options": {{"data": "{data}"}}}}')
    options = EvaluateModelOptions(run=str(path), data=data, pictures=2, output=data.parent / "a", device="cpu")
    assert evaluate_model(options).seen == "seen in training"
