"""Optimisers of the training loop: Adam, and Muon for networks that have minutes instead of days."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from understudy.errors import OptionError
from understudy.family import Recipe, Trainable

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Quintic whose iteration drives singular values towards 1 (Jordan et al. 2024); it need not converge, only flatten."""
UPDATE_RMS = 0.2
"""Root mean square of an orthogonal update, that of Adam's (Liu et al. 2025, eq. 4), so that both take the same rate."""
SMALLEST = 8
"""Matrices with a shorter side (a picture's three channels, say) are no place for orthogonalisation."""


def orthogonalised(matrix: Tensor, steps: int = 5) -> Tensor:
    """(m, n) -> (m, n), roughly the nearest matrix whose singular values are all 1 (within about 0.7 to 1.2)."""
    a, b, c = NEWTON_SCHULZ
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix).to(torch.bfloat16)
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if tall else x).to(matrix.dtype)


def is_matrix(parameter: Tensor) -> bool:
    """A convolution's or linear layer's weight with enough rows and columns, seen as (outputs, everything else)."""
    return parameter.ndim in (2, 4) and min(parameter.shape[0], parameter[0].numel()) >= SMALLEST


class Muon(torch.optim.Optimizer):
    """Momentum made orthogonal for weight matrices (Jordan et al. 2024), Adam for all other parameters.

    Every direction of a weight matrix then moves at the same pace, where Adam leaves most of them almost still; deep
    networks without normalisation layers learn from a half to two thirds of the pictures.
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float = 1e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        if closure is not None:
            raise NotImplementedError("Muon takes gradients as they are.")
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if is_matrix(parameter):
                    self._orthogonal(parameter, group)
                else:
                    self._adam(parameter, group)

    def _orthogonal(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state, gradient = self.state[parameter], parameter.grad
        assert gradient is not None
        if "momentum" not in state:
            # A training that began with Adam goes on with its momentum.
            state["momentum"] = state.get("exp_avg", torch.zeros_like(gradient))
            for slot in ("exp_avg", "exp_avg_sq", "step"):
                state.pop(slot, None)
        momentum = state["momentum"].lerp_(gradient, 1 - group["momentum"])
        ahead = gradient.lerp(momentum, group["momentum"])  # Nesterov's look ahead
        matrix = ahead.flatten(1)
        update = orthogonalised(matrix).view(*parameter.shape)
        parameter.add_(update, alpha=-group["lr"] * UPDATE_RMS * max(matrix.shape) ** 0.5)

    def _adam(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state, gradient = self.state[parameter], parameter.grad
        assert gradient is not None
        if "step" not in state:
            state["step"] = torch.zeros(())
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(gradient), torch.zeros_like(gradient)
        first, second = group["betas"]
        state["step"] += 1
        steps = float(state["step"])
        mean = state["exp_avg"].lerp_(gradient, 1 - first)
        square = state["exp_avg_sq"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        spread = (square / (1 - second**steps)).sqrt_().add_(group["eps"])
        parameter.addcdiv_(mean, spread, value=-group["lr"] / (1 - first**steps))


def make_optimisers(trainable: Trainable, recipe: Recipe) -> dict[str, torch.optim.Optimizer]:
    """One optimiser for each phase; group rates from the recipe.

    Raises:
        OptionError: the recipe names an optimiser that is not here.
    """
    if recipe.optimiser not in ("adam", "muon"):
        raise OptionError(f"the recipe's optimiser is {recipe.optimiser!r}; choose adam or muon.")
    optimisers: dict[str, torch.optim.Optimizer] = {}
    for phase in (phase.name for phase in trainable.phases()):
        groups = [
            {"params": list(parameters), "lr": recipe.learning_rate * recipe.rates.get(name, 1.0), "name": name}
            for name, parameters in trainable.parameter_groups(phase).items()
            if recipe.rates.get(name, 1.0) > 0 and len(parameters)
        ]
        for group in groups:
            group["initial_lr"] = group["lr"]
        if recipe.optimiser == "muon":
            optimisers[phase] = Muon(groups, lr=recipe.learning_rate, betas=recipe.betas)
        else:
            optimisers[phase] = torch.optim.Adam(groups, lr=recipe.learning_rate, betas=recipe.betas, fused=True)
    return optimisers
