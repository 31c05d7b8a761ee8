"""Equations 4 and 5 against hand-worked values, torch.distributions and a Monte Carlo estimate; K-means; the weights' spread."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from understudy.errors import DatasetError
from understudy.faces.align import mean_mesh
from understudy.faces.boundary import boundary_maps, load_topology
from understudy.families.boundary_vae.memory import Bank, Memory, divergence, effective_number, k_means, small_maps


def memory(centres: np.ndarray, mean: np.ndarray | None = None, **options: object) -> Memory:
    side = math.isqrt(centres.shape[1])
    built = Memory(len(centres), side, 2, **options)  # type: ignore[arg-type]
    rest = np.zeros(centres.shape[1], np.float32) if mean is None else mean
    built.remember(Bank(centres=centres, mean=rest, members=np.ones(len(centres)), spread=1.0))
    return built


def test_equation_4_by_hand() -> None:
    built = memory(np.eye(4, dtype=np.float32)[:2])
    with torch.no_grad():
        built.means.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
        built.log_deviations.copy_(torch.tensor([1.0, 3.0]).log())
    mean, variance = built.prior(torch.tensor([[0.25, 0.75], [1.0, 0.0]]))
    torch.testing.assert_close(mean, torch.tensor([[0.25, 1.5], [1.0, 0.0]]))
    torch.testing.assert_close(variance, torch.tensor([0.0625 * 1 + 0.5625 * 9, 1.0]))


def test_focal_means_lie_on_the_unit_sphere_and_stay() -> None:
    built = Memory(8, 4, 50)
    torch.testing.assert_close(built.means.norm(dim=1), torch.ones(8))
    assert not any(parameter.requires_grad for parameter in built.parameters())
    assert all(parameter.requires_grad for parameter in Memory(8, 4, 50, learned=True).parameters())


def test_equation_5_by_hand() -> None:
    # log(2/1) + (1 + (3 - 1)²) / (2 · 4) - 1/2 for one number, twice.
    nats = divergence(torch.full((1, 2), 3.0), torch.zeros(1, 2), torch.ones(1, 2), torch.tensor([4.0]))
    assert float(nats) == pytest.approx(2 * (math.log(2) + 5 / 8 - 0.5))
    same = divergence(torch.ones(1, 3), torch.full((1, 3), math.log(4.0)), torch.ones(1, 3), torch.tensor([4.0]))
    assert float(same) == pytest.approx(0.0, abs=1e-6)


def test_equation_5_against_torch_and_monte_carlo() -> None:
    numbers = torch.Generator().manual_seed(0)
    mean, log_variance, prior_mean = torch.randn(3, 4, 6, generator=numbers)
    variance = torch.rand(4, generator=numbers) + 0.3
    posterior = Independent(Normal(mean, (0.5 * log_variance).exp()), 1)
    prior = Independent(Normal(prior_mean, variance[:, None].sqrt().expand(-1, 6)), 1)
    ours = divergence(mean, log_variance, prior_mean, variance)
    torch.testing.assert_close(ours, kl_divergence(posterior, prior))
    z = mean + (0.5 * log_variance).exp() * torch.randn(200_000, 4, 6, generator=numbers)
    estimate = (posterior.log_prob(z) - prior.log_prob(z)).mean(0)
    torch.testing.assert_close(estimate, ours, rtol=0.02, atol=0.02)


def test_cosine_weights_by_hand() -> None:
    built = memory(np.array([[1, 0, 0, 0], [0, 1, 0, 0]], np.float32))
    # The map (3, 4, 0, 0) has cosines 0.6 and 0.8; the lines of two channels are summed.
    maps = torch.tensor([[[[3.0, 1.0], [0.0, 0.0]], [[0.0, 3.0], [0.0, 0.0]]]])
    torch.testing.assert_close(built.weights(maps), torch.tensor([[0.6, 0.8]]) / 1.4, rtol=1e-4, atol=1e-5)
    empty = built.weights(torch.zeros(1, 2, 2, 2))
    torch.testing.assert_close(empty, torch.tensor([[0.5, 0.5]]))


def test_centred_weights_by_hand() -> None:
    centres = np.array([[2, 0, 1, 1], [0, 2, 1, 1]], np.float32)
    built = memory(centres, centres.mean(0), weighting="centred", temperature=0.5)
    # Less the mean (1, 1, 1, 1), the map (3, 1, 1, 1) is (2, 0, 0, 0): cosines ±1/√2 with (1, -1, 0, 0) and its opposite.
    weights = built.weights(torch.tensor([[[[3.0, 1.0], [1.0, 1.0]]]]))
    expected = torch.tensor([[1.0, -1.0]]) / math.sqrt(2) / 0.5
    torch.testing.assert_close(weights, expected.softmax(1))


def test_the_papers_weights_of_faces_are_nearly_equal_and_the_centred_are_not() -> None:
    """The trap that the family's page tells of: cosines of maps that are nowhere negative are all high."""
    numbers, mesh = np.random.default_rng(0), mean_mesh()
    faces = []
    for yaw, pitch, opening in numbers.uniform([-0.7, -0.4, 0], [0.7, 0.4, 0.12], (120, 3)):
        face = mesh.copy()
        face[mesh[:, 1] > 0.2, 1] += opening
        turn = np.array([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]])
        nod = np.array([[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]])
        faces.append((face @ (turn @ nod).T)[:, :2] * 0.5 + [0.5, 0.52])
    maps = boundary_maps(np.stack(faces) * 64, load_topology("face13"), 64)
    rows = small_maps(maps, 32)
    bank = k_means(rows, 8)
    assert bank.members.sum() == 120 and bank.spread < 0.9
    by_cosine, centred = (memory(bank.centres, bank.mean, weighting=name) for name in ("cosine", "centred"))
    effective = [
        float(effective_number(built.weights(torch.from_numpy(maps))).mean()) for built in (by_cosine, centred)
    ]
    assert effective[0] > 7.5, "of 8"
    assert effective[1] < 5
    spread = [float(built.weights(torch.from_numpy(maps)).std(0).mean()) for built in (by_cosine, centred)]
    assert spread[1] > 4 * spread[0]


def test_the_effective_number_of_weights() -> None:
    weights = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.25] * 4, [0.5, 0.5, 0.0, 0.0]])
    torch.testing.assert_close(effective_number(weights), torch.tensor([1.0, 4.0, 2.0]))


def test_k_means_finds_what_is_apart() -> None:
    numbers = np.random.default_rng(0)
    truth = np.array([[0, 0, 9], [9, 0, 0], [0, 9, 0], [5, 5, 5]], np.float32)
    rows = np.concatenate([c + numbers.normal(0, 0.1, (n, 3)) for c, n in zip(truth, (40, 30, 20, 10), strict=True)])
    bank = k_means(rows.astype(np.float32), 4, seed=1)
    np.testing.assert_array_equal(bank.members, [40, 30, 20, 10])
    np.testing.assert_allclose(bank.centres, truth, atol=0.15)
    np.testing.assert_allclose(bank.mean, rows.mean(0), atol=1e-5)
    assert bank.spread < 0.05
    np.testing.assert_array_equal(k_means(rows.astype(np.float32), 4, seed=1).centres, bank.centres)


def test_k_means_wants_as_many_different_maps() -> None:
    with pytest.raises(DatasetError, match="8 focal points and the data 2"):
        k_means(np.repeat(np.eye(2, dtype=np.float32), 20, 0), 8)
    bank = k_means(np.repeat(np.eye(3, dtype=np.float32), 5, 0), 3)
    np.testing.assert_array_equal(np.sort(bank.centres, 0), np.sort(np.eye(3), 0))
