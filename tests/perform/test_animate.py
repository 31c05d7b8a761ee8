"""Handing a still and a drive to a family: batches, checks, and which model is meant."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from understudy import families
from understudy.checkpoint import ModelCard, save_checkpoint
from understudy.errors import CheckpointError, InternalError, OptionError
from understudy.family import AnimateResult, Drive, Family, Task
from understudy.perform.animate import animate_crops, find_animator, open_animator, rest_of, rows_of

STILL = np.full((8, 8, 3), 0.5, np.float32)


class Brighter:
    """Answers a row by its strength alone, and notes how many it was asked at a time."""

    size, signals, expressions, oval_share = 8, frozenset({"units"}), (), 0.5

    def __init__(self, **changes):
        self.asked, self.changes = [], changes

    def animate(self, still, drive):
        self.asked.append(len(drive.strength))
        crops = still + drive.strength[:, None, None, None]
        motion = np.zeros((len(crops), 8, 8, 2), np.float32)
        return replace(AnimateResult(crops=crops, motion=motion), **self.changes)


def drive(count=5, **more):
    return Drive(strength=np.linspace(0, 0.4, count, dtype=np.float32), **more)


def test_rows_go_in_batches_and_come_back_in_order():
    animator = Brighter()
    answers = list(animate_crops(STILL, drive(5), animator=animator, batch=2))
    assert animator.asked == [2, 2, 1]
    np.testing.assert_allclose([answer.crop[0, 0, 0] for answer in answers], 0.5 + np.linspace(0, 0.4, 5), atol=1e-6)
    assert answers[0].motion is not None and answers[0].matte is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"crops": np.zeros((2, 8, 8, 3), np.float32)}, "crops of shape"),
        ({"crops": np.full((5, 8, 8, 3), np.nan, np.float32)}, "crops that are NaN"),
        ({"motion": np.zeros((5, 4, 4, 2), np.float32)}, "motion of shape"),
        ({"mattes": np.full((5, 8, 8), np.inf, np.float32)}, "mattes that are NaN"),
    ],
)
def test_a_family_that_breaks_the_contract_is_a_bug(changes, said):
    with pytest.raises(InternalError, match=said):
        list(animate_crops(STILL, drive(5), animator=Brighter(**changes)))


def test_a_still_of_another_size_is_a_bug():
    with pytest.raises(InternalError, match="8 pixels"):
        list(animate_crops(np.zeros((9, 9, 3), np.float32), drive(), animator=Brighter()))


def test_at_rest_nothing_is_asked():
    own = np.full(17, 0.5, np.float32)
    rest = rest_of(drive(3, units=np.ones((3, 17), np.float32), still_units=own))
    assert rest.strength.tolist() == [0, 1] and rest.units is not None and (rest.units == 0.5).all()
    assert rest_of(drive(3, expression="smile")).strength.tolist() == [0, 0]
    rows = rows_of(drive(5, units=np.arange(85, dtype=np.float32).reshape(5, 17)), [1, 4])
    assert rows.units is not None and rows.units[:, 0].tolist() == [17, 68]


@pytest.fixture
def two_families(monkeypatch, tmp_path):
    """``swaps`` and ``moves``, the latter with default weights at tmp_path/moves.safetensors once they are there."""
    import torch

    def family(name, task, weights=None):
        return Family(
            name=name, title=name, paper="", tasks=frozenset({task}), presets=(), recipe=lambda: None, default_weights=weights,
            trainable=lambda: None, animator=lambda path, device: (name, path, device),
        )  # fmt: skip

    known = {
        "moves": family("moves", Task.ANIMATE, tmp_path / "moves.safetensors"),
        "swaps": family("swaps", Task.SWAP),
        "turns": family("turns", Task.ANIMATE),
    }
    monkeypatch.setattr(families, "names", lambda: tuple(known))
    monkeypatch.setattr(families, "get", known.__getitem__)

    def save(name):
        path = tmp_path / f"{name}.safetensors"
        save_checkpoint(path, {"a": torch.zeros(1)}, ModelCard(family=name, preset="test", network={}))
        return path

    return save


def test_which_model_is_meant(two_families):
    with pytest.raises(CheckpointError, match="No animating family comes with weights"):
        find_animator(None)
    default, other = two_families("moves"), two_families("turns")
    assert find_animator(None)[1] == default
    assert find_animator(None, "moves")[0].name == "moves"
    assert find_animator(other)[0].name == "turns"
    assert open_animator(other, device="cpu") == ("turns", other, "cpu")
    with pytest.raises(CheckpointError, match="turns comes without weights"):
        find_animator(None, "turns")
    with pytest.raises(CheckpointError, match="swaps model, which does not animate"):
        find_animator(two_families("swaps"))
    with pytest.raises(OptionError, match="--method swaps does not animate; these do: moves, turns"):
        find_animator(None, "swaps")
    with pytest.raises(OptionError, match="do not go together"):
        find_animator(other, "moves")
