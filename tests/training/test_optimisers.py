"""Muon: orthogonal steps for matrices, Adam's for everything else, and a state that survives a stop."""

from __future__ import annotations

import pytest
import torch

from understudy.errors import OptionError
from understudy.family import Phase, Recipe, Stage
from understudy.training.optimisers import UPDATE_RMS, Muon, is_matrix, make_optimisers, orthogonalised


def test_orthogonalised_matrix_has_singular_values_near_one() -> None:
    torch.manual_seed(0)
    for shape in ((24, 80), (80, 24)):
        matrix = torch.randn(shape)
        assert float(torch.linalg.cond(matrix)) > 2.5
        singular = torch.linalg.svdvals(orthogonalised(matrix))
        assert float(singular.min()) > 0.6 and float(singular.max()) < 1.3


def test_orthogonalisation_keeps_the_singular_vectors() -> None:
    torch.manual_seed(1)
    u, _, v = torch.linalg.svd(torch.randn(16, 40), full_matrices=False)
    matrix = u @ torch.diag(torch.linspace(0.5, 1.5, 16)) @ v
    result = orthogonalised(matrix)
    assert torch.nn.functional.cosine_similarity(result.flatten(), (u @ v).flatten(), dim=0) > 0.98


def test_step_has_the_size_of_adams() -> None:
    torch.manual_seed(2)
    weight = torch.nn.Parameter(torch.zeros(32, 16, 3, 3))
    weight.grad = torch.randn_like(weight)
    Muon([weight], lr=0.01).step()
    assert float(weight.detach().square().mean().sqrt()) == pytest.approx(0.01 * UPDATE_RMS, rel=0.25)


def test_small_parameters_step_like_torch_adam() -> None:
    torch.manual_seed(3)
    start = torch.randn(3, 16, 1, 1)
    ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    assert not is_matrix(ours)
    one, other = Muon([ours], lr=0.01), torch.optim.Adam([theirs], lr=0.01)
    for _ in range(5):
        gradient = torch.randn_like(start)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        one.step()
        other.step()
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_adam_training_goes_on_with_muon() -> None:
    weight = torch.nn.Parameter(torch.randn(16, 16))
    adam = torch.optim.Adam([weight], lr=0.01)
    weight.grad = torch.randn_like(weight)
    adam.step()
    muon = Muon([weight], lr=0.01)
    muon.state[weight] = {slot: value.clone() for slot, value in adam.state[weight].items()}
    expected = muon.state[weight]["exp_avg"].lerp(weight.grad, 0.05)
    muon.step()
    assert set(muon.state[weight]) == {"momentum"}
    assert torch.allclose(muon.state[weight]["momentum"], expected)


class _OneLayer:
    network = torch.nn.Linear(16, 16)

    def phases(self) -> list[Phase]:
        return [Phase(name="only")]

    def parameter_groups(self, phase: str) -> dict[str, list[torch.nn.Parameter]]:
        return {"all": list(self.network.parameters())}


def test_recipe_names_the_optimiser() -> None:
    recipe = Recipe(
        family="f", preset="p", network={}, stages=(Stage(resolution=8, pictures=8, batch=8),), optimiser="muon"
    )
    made = make_optimisers(_OneLayer(), recipe)  # type: ignore[arg-type]
    assert isinstance(made["only"], Muon)
    from dataclasses import replace

    with pytest.raises(OptionError, match="sgd"):
        make_optimisers(_OneLayer(), replace(recipe, optimiser="sgd"))  # type: ignore[arg-type]
