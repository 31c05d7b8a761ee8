"""The autoencoder baseline: published sizes, warps that bend inputs alone, training that is resumed and learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from understudy.dataset.augment import AugmentSettings
from understudy.jobs.baselines.autoencoder import (
    Autoencoder,
    AutoencoderSettings,
    AutoencoderTrainable,
    autoencoder_loss,
)
from understudy.jobs.baselines.autoencoder_training import JITTER, WarpedBatches, random_warp


class Blobs:
    """Pictures of one person: a coloured disc that wanders; weights of 64 are 1."""

    def __init__(self, colour: tuple[int, int, int]) -> None:
        self.colour = colour

    def __len__(self) -> int:
        return 10

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        y, x = np.mgrid[:32, :32]
        inside = (x - 12 - index) ** 2 + (y - 16) ** 2 < 64
        picture = np.where(inside[..., None], np.array(self.colour, np.uint8), np.uint8(30))
        return picture, np.full((32, 32), 64, np.uint8)


def test_the_published_network_has_the_published_sizes():
    """64 pixels: 128, 256, 512, 1024 channels to 4 x 4, 1024 through the bottleneck, then 512, 256, 128, 64."""
    network = Autoencoder(AutoencoderSettings(), ("a", "b"))
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items() if name.endswith("weight")}
    assert [shape for name, shape in shapes.items() if name.startswith("encoder")] == [
        (128, 3, 5, 5), (256, 128, 5, 5), (512, 256, 5, 5), (1024, 512, 5, 5), (1024, 16384), (16384, 1024),
        (2048, 1024, 3, 3),
    ]  # fmt: skip
    assert [shape for name, shape in shapes.items() if name.startswith("decoders.0")] == [
        (1024, 512, 3, 3), (512, 256, 3, 3), (256, 128, 3, 3), (3, 64, 5, 5),
    ]  # fmt: skip


@pytest.mark.parametrize("size", [16, 32, 128])
def test_every_size_gives_pictures_of_its_own_size(size):
    network = Autoencoder(AutoencoderSettings(size=size, width=8, bottleneck=16), ("a", "b"))
    answer = network(torch.rand(2, 3, size, size), "b").detach()
    assert answer.shape == (2, 3, size, size) and float(answer.min()) >= 0 and float(answer.max()) <= 1


def test_a_warp_moves_points_as_far_as_published():
    """A ramp shows where each pixel came from; the grid's own points move by 5/160 of the side, smooth between."""
    size, many = 80, 200
    ramp = torch.linspace(0.5 / size, 1 - 0.5 / size, size).expand(many, 1, size, size)
    moved = random_warp(ramp, torch.Generator().manual_seed(0)) - ramp
    inner = moved[:, 0, 8:-8, 8:-8]
    assert 0.6 * JITTER < float(inner.std()) < 1.1 * JITTER
    assert abs(float(inner.mean())) < 0.1 * JITTER
    steps = (inner[:, 1:] - inner[:, :-1]).abs().max()
    assert float(steps) < JITTER / 2, "neighbours move alike"


def test_inputs_are_bent_and_targets_are_not_and_batches_repeat():
    settings = AugmentSettings(shift=0, scale=0, rotation=0, exposure=0, colour=0, gamma=0, shading=0, noise=0)
    batches = WarpedBatches({"a": Blobs((200, 40, 40))}, augment=settings, seed=3)
    (portion,) = batches.batch(5, each=8, size=32)
    (again,) = batches.batch(5, each=8, size=32)
    assert torch.equal(portion.inputs, again.inputs) and torch.equal(portion.targets, again.targets)
    assert not torch.equal(portion.inputs, portion.targets)
    known = {Blobs((200, 40, 40)).read(index)[0].tobytes() for index in range(10)}
    known |= {np.ascontiguousarray(Blobs((200, 40, 40)).read(index)[0][:, ::-1]).tobytes() for index in range(10)}
    for target in portion.targets:
        assert (target.permute(1, 2, 0) * 255).round().byte().contiguous().numpy().tobytes() in known


def test_the_loss_is_zero_for_the_answer_and_blind_outside_the_face():
    target, mask = torch.rand(2, 3, 32, 32), torch.zeros(2, 1, 32, 32)
    mask[:, :, 8:24, 8:24] = 1
    assert float(autoencoder_loss(target, target, mask)) == pytest.approx(0, abs=1e-6)
    other = torch.where(mask > 0, target, torch.rand_like(target))
    assert float(autoencoder_loss(other, target, mask)) == pytest.approx(0, abs=1e-6)
    assert float(autoencoder_loss(1 - target, target, mask)) > 0.1


def test_it_learns_to_draw_each_person_in_their_colours():
    torch.manual_seed(0)
    people = {"a": Blobs((220, 40, 40)), "b": Blobs((40, 40, 220))}
    trainable = AutoencoderTrainable(Autoencoder(AutoencoderSettings(size=32, width=16, bottleneck=32), tuple(people)))
    batches = WarpedBatches(people, augment=AugmentSettings(exposure=0, colour=0, gamma=0, shading=0), seed=0)
    optimiser = torch.optim.Adam(trainable.network.parameters(), 2e-3)
    losses = []
    for step in range(30):
        loss, _ = trainable.loss("reconstruct", batches.batch(step, each=8, size=32), 1.0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])
    picture = torch.from_numpy(people["a"].read(4)[0]).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        drawn = trainable.network(picture, "b")[0, :, 12:20, 12:20].mean((1, 2))
    assert drawn[2] > drawn[0], "a's disc, given by b, is blue"
    assert trainable.preview(batches.sample(each=2, size=32), 1.0).shape == (2 * 2 * 32, 3 * 32, 3)
