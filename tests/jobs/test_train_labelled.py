"""Training a family that learns from labelled pictures, with a tiny one that stands in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from understudy import families
from understudy.checkpoint import read_card
from understudy.dataset.augment import AugmentSettings
from understudy.dataset.labelled import Labelled, write_folder
from understudy.errors import ConsentError, DatasetError, OptionError
from understudy.family import Family, Phase, Recipe, Stage, Task
from understudy.jobs.train import TrainOptions, train


class Tiny:
    """Adds the change of signals, times a weight a unit, to a picture."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.network: Any = torch.nn.Linear(17, 1, bias=False)
        self.seen: list[Any] = []

    def phases(self):
        return (Phase(name="generator"),)

    def parameter_groups(self, phase):
        return {"all": list(self.network.parameters())}

    def set_resolution(self, resolution):
        return False

    def loss(self, phase, batch, fade):
        (portion,) = batch
        self.seen.append(portion)
        change = self.network(portion.target_signals - portion.signals)[:, :, None, None]
        loss = (portion.inputs + change - portion.targets).square().mean() * self.recipe.losses["pair"]
        return loss, {"pair": loss.detach()}

    def preview(self, batch, fade):
        return np.zeros((8, 8, 3), np.uint8)

    def checkpoint(self):
        return dict(self.network.state_dict()), {"resolution": 16}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Tiny]:
    trainables: list[Tiny] = []

    def recipe(preset: str, **_: Any) -> Recipe:
        return Recipe(
            family="tiny",
            preset=preset,
            network={},
            losses={"pair": 1.0, "drive": 0.5, "often": 2},
            stages=(Stage(resolution=16, pictures=64, batch=8),),
            augment=AugmentSettings(),
        )

    def trainable(recipe: Recipe, identities: Any, pictures: Any) -> Tiny:
        trainables.append(Tiny(recipe))
        return trainables[-1]

    family = Family(
        name="tiny",
        title="",
        paper="",
        tasks=frozenset({Task.ANIMATE}),
        presets=("preview",),
        recipe=recipe,
        trainable=trainable,  # type: ignore[arg-type]
        labelled=True,
    )
    real = families.get
    monkeypatch.setattr(families, "get", lambda name: family if name == "tiny" else real(name))
    return trainables


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder, entries = tmp_path / "data", []
    folder.mkdir()
    for number in range(12):
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), np.full((20, 20, 3), 100 + 10 * (number % 3), np.uint8))
        units = np.full(17, float(number % 3), np.float32)
        entries.append(Labelled(picture=path, person=str(number // 3), setup="one", units=units))
    write_folder(folder, entries)
    return folder


@pytest.fixture
def consent(tmp_path: Path) -> Path:
    path = tmp_path / "consent.toml"
    path.write_text("synthetic = true\n")
    return path


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def options(data: Path, consent: Path | None, **others: Any) -> TrainOptions:
    return TrainOptions(family="tiny", data=data, consent=consent, device="cpu", **others)


def test_a_folder_trains_a_family(made: list[Tiny], data: Path, consent: Path):
    report = train(options(data, consent))
    assert report.finished and report.pictures == 64
    assert report.run == Path("runs/tiny-preview") and report.checkpoint.is_file()
    portion = made[0].seen[0]
    assert portion.inputs.shape == (8, 3, 16, 16) and portion.signals.shape == (8, 17)
    card = read_card(report.checkpoint)
    assert card.data == "data (folder): 12 pictures of 4 people"
    assert card.consent["people"]["synthetic"] is True


def test_a_run_outside_a_project_is_found_by_its_name(made: list[Tiny], data: Path, consent: Path):
    from understudy.jobs.train import resolve_checkpoint

    report = train(options(data, consent))
    assert resolve_checkpoint("tiny-preview", None) == report.checkpoint
    with pytest.raises(OptionError, match="there are the runs tiny-preview"):
        resolve_checkpoint("other", None)


def test_a_term_can_be_left_out(made: list[Tiny], data: Path, consent: Path):
    train(options(data, consent, without=("drive",)))
    assert made[0].recipe.losses == {"pair": 1.0, "drive": 0.0, "often": 2}
    with pytest.raises(OptionError, match="--without often: this preset's loss has pair, drive"):
        train(options(data, consent, run="other", without=("often",)))


def test_a_run_goes_on_only_with_its_own_losses(made: list[Tiny], data: Path, consent: Path):
    train(options(data, consent))
    with pytest.raises(OptionError, match="began with other settings"):
        train(options(data, consent, without=("drive",)))


def test_who_taught_the_weights_that_a_run_began_with_stays_known(
    made: list[Tiny], data: Path, consent: Path, monkeypatch
):
    monkeypatch.setattr(Tiny, "taught_by", ("mobilefacenet",), raising=False)
    assert read_card(train(options(data, consent)).checkpoint).taught_by == ["mobilefacenet"]
    monkeypatch.setattr(Tiny, "taught_by", ("lpips-squeeze",))
    assert read_card(train(options(data, consent)).checkpoint).taught_by == ["mobilefacenet", "lpips-squeeze"]
    monkeypatch.delattr(Tiny, "taught_by")
    on = train(options(data, consent, run="on", from_="tiny-preview"))
    assert read_card(on.checkpoint).taught_by == ["mobilefacenet", "lpips-squeeze"]
    assert read_card(train(options(data, consent, run="new")).checkpoint).taught_by == []


def test_a_data_set_needs_consent(made: list[Tiny], data: Path):
    with pytest.raises(ConsentError, match="--consent"):
        train(options(data, None))


def test_what_cannot_go_together_is_said(made: list[Tiny], data: Path, consent: Path):
    with pytest.raises(OptionError, match="name their folder with --data"):
        train(TrainOptions(family="tiny", consent=consent))
    with pytest.raises(OptionError, match="not from labelled pictures"):
        train(TrainOptions(family="comb", data=data, consent=consent))
    with pytest.raises(DatasetError, match="is no folder"):
        train(options(data / "not there", consent))
    with pytest.raises(OptionError, match="--layout ffhq"):
        train(options(data, consent, layout="ffhq"))


def test_a_published_layout_is_cut_once(
    made: list[Tiny], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, consent: Path
):
    from understudy.dataset import labelled_cut
    from understudy.faces.align import mean_mesh

    folder = tmp_path / "rafd"
    folder.mkdir()
    for model in range(12):
        picture = np.random.default_rng(model).integers(0, 255, (60, 50, 3), np.uint8)
        cv2.imwrite(str(folder / f"Rafd090_{model:02d}_Kid_male_{'happy' if model % 2 else 'sad'}_left.jpg"), picture)
    header = ",".join(["picture", "confidence", *(f"{name}_r" for name in _units())])
    rows = [f"{path.name},0.9,{','.join(['1.5'] * 17)}" for path in sorted(folder.iterdir())]
    (folder / "openface.csv").write_text("\n".join([header, *rows]))
    asked = []

    def finder():
        asked.append(True)
        return lambda picture: (mean_mesh() * 30 + (25, 30, 0)).astype(np.float32)

    monkeypatch.setattr(labelled_cut, "largest_face_finder", finder)
    report = train(options(folder, consent, layout="rafd"))
    assert (report.run / "labelled" / "units.csv").is_file()
    portion = made[0].seen[0]
    assert (portion.signals == 0.3).all() and (portion.inputs == portion.targets).all()
    train(options(folder, consent, layout="rafd"))
    assert len(asked) == 1


def _units() -> list[str]:
    from understudy.faces.action_units import ActionUnit

    return [unit.name for unit in ActionUnit]
