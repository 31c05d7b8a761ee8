"""Crops through a performer: batches, order, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.errors import CheckpointError, InternalError, OptionError
from understudy.family import SwapResult
from understudy.perform.swap import check_identity, open_performer, swap_crops


class Tinter:
    """Stands in for a trained model: reddens the crop."""

    identities = ("anna", "robin")
    size = 16

    def __init__(self, mattes=False):
        self.batches = []
        self.mattes = mattes

    def swap(self, crops, identity):
        self.batches.append(len(crops))
        mattes = np.ones(crops.shape[:3], np.float32) if self.mattes else None
        return SwapResult(crops=crops * np.array([1.5, 0.8, 0.8], np.float32), mattes=mattes)


def crops(count, size=16):
    rng = np.random.default_rng(0)
    return [(number, rng.random((size, size, 3), np.float32)) for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, 8, 9, 20])
def test_batches_in_order(count):
    performer = Tinter(mattes=True)
    given = crops(count)
    made = list(swap_crops(given, performer=performer, identity="anna", batch=8))
    assert [key for key, _ in made] == list(range(count))
    assert sum(performer.batches) == count and max(performer.batches, default=0) <= 8
    for (_, crop), (_, face) in zip(given, made, strict=True):
        np.testing.assert_array_equal(face.crop, np.clip(crop * np.array([1.5, 0.8, 0.8], np.float32), 0, 1))
        assert face.matte.shape == (16, 16)


def test_only_a_batch_is_held():
    taken = []

    def endless():
        for key, crop in crops(1000):
            taken.append(key)
            yield key, crop

    made = swap_crops(endless(), performer=Tinter(), identity="robin", batch=4)
    next(made)
    assert len(taken) == 4
    assert next(made)[1].matte is None


def test_an_unknown_identity_is_named():
    with pytest.raises(OptionError, match="did you mean 'anna'.*anna, robin"):
        check_identity(("anna", "robin"), "ana")
    with pytest.raises(OptionError, match="--identity zoe.*it knows anna, robin"):
        list(swap_crops(crops(1), performer=Tinter(), identity="zoe"))


def test_wrong_results_are_bugs():
    class Broken(Tinter):
        def swap(self, crops, identity):
            return SwapResult(crops=crops * np.nan)

    class Small(Tinter):
        def swap(self, crops, identity):
            return SwapResult(crops=crops[:, :8])

    for performer in (Broken(), Small()):
        with pytest.raises(InternalError):
            list(swap_crops(crops(1), performer=performer, identity="anna"))
    with pytest.raises(InternalError, match="takes"):
        list(swap_crops(crops(1, size=8), performer=Tinter(), identity="anna"))


def test_foreign_checkpoints_are_sentences(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        open_performer(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(CheckpointError, match="safetensors"):
        open_performer(tmp_path / "model.safetensors")


def test_a_family_that_is_not_here(tmp_path):
    import torch

    from understudy.checkpoint import ModelCard, save_checkpoint

    path = tmp_path / "model.safetensors"
    save_checkpoint(path, {"a": torch.zeros(1)}, ModelCard(family="no_such_family", preset="x", network={}))
    with pytest.raises(CheckpointError, match=r"no_such_family.*only .*comb"):
        open_performer(path)
