"""A training that stops and goes on gives the numbers of one that never stopped."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from understudy.checkpoint import ModelCard, load_checkpoint, read_card, save_checkpoint
from understudy.dataset.augment import AugmentSettings, draw_light, draw_moves, move, relight
from understudy.dataset.batches import IdentityBatches
from understudy.errors import CheckpointError
from understudy.families.comb.losses import CombTrainable, LossSettings
from understudy.families.comb.network import CombNetwork, CombSettings
from understudy.family import Recipe, Stage
from understudy.training.growing import position_at
from understudy.training.loop import Loop, LoopOptions

SETTINGS = CombSettings(widths=(8, 6, 4), latent=8, split_level=0)
STAGES = (
    Stage(resolution=4, pictures=8, batch=2, fade=1.0),
    Stage(resolution=8, pictures=12, batch=2, fade=1.0),
    Stage(resolution=16, pictures=20, batch=2, fade=0.5),
)


class Noise:
    """Pictures that no file holds."""

    def __init__(self, seed: int) -> None:
        numbers = np.random.default_rng(seed)
        self.pictures = numbers.integers(0, 256, (9, 32, 32, 3), np.uint8)

    def __len__(self) -> int:
        return len(self.pictures)

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.pictures[index], np.full((32, 32), 64, np.uint8)


class Colours(Noise):
    """Pictures of one colour each."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.pictures = np.broadcast_to(self.pictures[:, :1, :1], self.pictures.shape)


def make_loop(
    run: Path,
    *,
    stages: tuple[Stage, ...] = STAGES,
    minutes: float | None = None,
    device: str = "cpu",
    devices: int = 1,
) -> Loop:
    torch.manual_seed(5)
    recipe = Recipe(
        family="comb",
        preset="tiny",
        network={},
        stages=stages,
        learning_rate=1e-2,
        ema_pictures=10,
        cool_down=0.3,
        precision="float32",
    )
    trainable = CombTrainable(CombNetwork(SETTINGS, ["a", "b"], level=0), LossSettings(ssim=0.2))
    batches = IdentityBatches({"a": Noise(1), "b": Noise(2)}, augment=AugmentSettings(), seed=0)
    return Loop(
        trainable, recipe, batches, run, LoopOptions(device=device, devices=devices, minutes=minutes, preview_every=1e9)
    )


def stop_after(loop: Loop, steps: int) -> None:
    """Send this process SIGTERM as a cluster's scheduler would."""
    step = loop.step

    def counted(*arguments):
        if loop.steps == steps - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(*arguments)

    loop.step = counted  # type: ignore[method-assign]


@pytest.mark.parametrize("stops", [(1,), (3,), (2, 6), (5,), (9,)])
def test_resumed_training_is_bit_identical(tmp_path: Path, stops: tuple[int, ...]) -> None:
    assert threading.current_thread() is threading.main_thread()
    straight = make_loop(tmp_path / "straight")
    assert straight.train().finished
    for stop in stops:
        loop = make_loop(tmp_path / "broken")
        stop_after(loop, stop)
        report = loop.train()
        assert report.stopped_by == "SIGTERM" and report.steps == stop
    loop = make_loop(tmp_path / "broken")
    report = loop.train()
    assert report.finished and report.pictures == straight.pictures
    for (name, a), (_, b) in zip(straight.checkpoint()[0].items(), loop.checkpoint()[0].items(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, msg=name)
    plain_a, plain_b = straight.trainable.network.state_dict(), loop.trainable.network.state_dict()
    assert all(torch.equal(plain_a[name], plain_b[name]) for name in plain_a)


def test_training_a_finished_run_again_changes_nothing(tmp_path: Path) -> None:
    loop = make_loop(tmp_path)
    loop.train()
    before = loop.checkpoint()[0]
    again = make_loop(tmp_path)
    report = again.train()
    assert report.finished and report.pictures_per_second == 0
    assert all(torch.equal(before[name], tensor) for name, tensor in again.checkpoint()[0].items())


def test_minutes_end_a_training_with_everything_saved(tmp_path: Path) -> None:
    long = (Stage(resolution=4, pictures=10**9, batch=2),)
    report = make_loop(tmp_path, stages=long, minutes=0.02).train()
    assert report.stopped_by == "minutes" and not report.finished and report.pictures > 0
    again = make_loop(tmp_path, stages=long, minutes=0.02).train()
    assert again.pictures == report.pictures, "the minutes count all stretches together"


def test_a_run_leaves_pictures_and_curves(tmp_path: Path) -> None:
    make_loop(tmp_path).train()
    assert (tmp_path / "previews" / "latest.jpg").stat().st_size > 500
    assert (tmp_path / "curves.jsonl").read_text().startswith("{")
    assert list((tmp_path / "tensorboard").iterdir())


def test_damaged_state_is_a_sentence(tmp_path: Path) -> None:
    make_loop(tmp_path).train()
    state = tmp_path / "state.safetensors"
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="is damaged"):
        make_loop(tmp_path).train()


def test_training_learns(tmp_path: Path) -> None:
    loop = make_loop(tmp_path, stages=(Stage(resolution=4, pictures=1200, batch=4),))
    loop.batches = IdentityBatches({"a": Colours(1), "b": Colours(2)}, augment=AugmentSettings(), seed=0)
    sample = loop.batches.sample(each=8, size=4)
    loss = lambda: float(loop.trainable.loss("reconstruct", sample, 1.0)[0].detach())  # noqa: E731
    first = loss()
    assert loop.train().finished
    assert loss() < 0.5 * first


@pytest.mark.parametrize(
    ("pictures", "stage", "fade"),
    # Stages of 8, 12 and 20 pictures; the last fades over its first half.
    [(0, 0, 1.0), (7, 0, 1.0), (8, 1, 0.0), (14, 1, 0.5), (20, 2, 0.0), (25, 2, 0.5), (30, 2, 1.0), (40, 2, 1.0)],
)
def test_positions_by_hand(pictures: int, stage: int, fade: float) -> None:
    position = position_at(STAGES, pictures)
    assert (position.stage, position.fade) == (stage, pytest.approx(fade))
    assert position.finished == (pictures >= 40)


def test_moving_by_nothing_changes_nothing() -> None:
    still = AugmentSettings(shift=0, scale=0, rotation=0, exposure=0, colour=0, gamma=0, shading=0)
    pictures = torch.rand(2, 3, 16, 16) * 0.9 + 0.05
    generator = torch.Generator().manual_seed(0)
    torch.testing.assert_close(move(pictures, draw_moves(2, still, generator), 16), pictures)
    torch.testing.assert_close(relight(pictures, draw_light(2, still, generator)), pictures)


def test_shrinking_moves_average_areas() -> None:
    still = AugmentSettings(shift=0, scale=0, rotation=0)
    pictures = torch.rand(1, 3, 64, 64)
    moved = move(pictures, draw_moves(1, still, torch.Generator().manual_seed(0)), 8)
    torch.testing.assert_close(moved, torch.nn.functional.avg_pool2d(pictures, 8), atol=1e-5, rtol=1e-4)


def test_batches_depend_on_seed_and_step_alone() -> None:
    make = lambda: IdentityBatches({"a": Noise(1)}, augment=AugmentSettings(), seed=3)  # noqa: E731
    one, two = make(), make()
    one.batch(0, each=2, size=16)
    a, b = one.batch(5, each=2, size=16)[0], two.batch(5, each=2, size=16)[0]
    assert torch.equal(a.inputs, b.inputs)
    assert not torch.equal(a.inputs, two.batch(6, each=2, size=16)[0].inputs)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"", "not a safetensors file"), (b"\x80\x04" * 200, "not a safetensors file"), (None, "does not exist")],
)
def test_unreadable_checkpoints_are_sentences(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    path = tmp_path / "m.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=sentence):
        read_card(path)


def test_foreign_safetensors_and_cut_checkpoints_are_sentences(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(3)}, tmp_path / "foreign.safetensors")
    with pytest.raises(CheckpointError, match="foreign weights"):
        load_checkpoint(tmp_path / "foreign.safetensors")
    save_checkpoint(
        tmp_path / "m.safetensors", {"x": torch.zeros(300)}, ModelCard(family="comb", preset="p", network={})
    )
    assert load_checkpoint(tmp_path / "m.safetensors")[1].family == "comb"
    with pytest.raises(CheckpointError, match="was asked for"):
        load_checkpoint(tmp_path / "m.safetensors", family="warping")
    whole = (tmp_path / "m.safetensors").read_bytes()
    (tmp_path / "m.safetensors").write_bytes(whole[:-50])
    with pytest.raises(CheckpointError, match="cut short or damaged"):
        load_checkpoint(tmp_path / "m.safetensors")
