"""A branch that begins as a modulation of the base's common branch, in training.

Footage of one person under one light says nothing about that person under another. Trained freely, a branch soon answers
the plate's light and pose with its own footage's; what the base has learnt of them lives in its common weights, and every
person of the base is only a gain of their inputs and outputs. So a newcomer too moves mostly along such gains,

    W = (1 + out) W_start (1 + in),

and the weights themselves only a little, for what no person of the base has. Levels that the base does not reach are free.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from understudy.families.comb.network import CombNetwork


class Gains(nn.Module):
    """Gains of a convolution's outputs and inputs."""

    def __init__(self, outputs: int, inputs: int) -> None:
        super().__init__()
        self.gain_out = nn.Parameter(torch.zeros(outputs, 1, 1, 1))
        self.gain_in = nn.Parameter(torch.zeros(1, inputs, 1, 1))

    def forward(self, weight: Tensor) -> Tensor:
        return weight * (1 + self.gain_out) * (1 + self.gain_in)


def modulate(comb: CombNetwork) -> None:
    """Give the branches' convolutions gains, up to the present level; what the network computes stays the same."""
    for identity in comb.identities:
        branch = comb.branch(identity)
        known = branch.levels[: comb.level + 1 - branch.first_level]
        for layer in _convolutions([known, branch.to_rgb]):
            gains = Gains(layer.out_channels, layer.in_channels)
            parametrize.register_parametrization(layer, "weight", gains.to(layer.weight.device))


def is_modulated(comb: CombNetwork) -> bool:
    """Whether :func:`modulate` was here."""
    return any(parametrize.is_parametrized(layer, "weight") for layer in _convolutions([comb.branches]))


def parameter_groups(comb: CombNetwork) -> Mapping[str, list[nn.Parameter]]:
    """A modulated comb's branches: ``modulations`` the gains and their biases, ``branches`` the weights under them,
    ``fresh`` what has no gains."""
    groups: dict[str, list[nn.Parameter]] = {"branches": [], "modulations": [], "fresh": []}
    for layer in _convolutions([comb.branches]):
        bias = [layer.bias] if layer.bias is not None else []
        if not parametrize.is_parametrized(layer, "weight"):
            groups["fresh"] += [layer.weight, *bias]  # type: ignore[list-item, arg-type]
            continue
        slots = layer.parametrizations.weight  # type: ignore[union-attr]
        gains: Gains = slots[0]  # type: ignore[index, assignment]
        groups["branches"].append(slots.original)  # type: ignore[union-attr, arg-type]
        groups["modulations"] += [gains.gain_out, gains.gain_in, *bias]
    return groups


def plain_state(comb: CombNetwork) -> dict[str, Tensor]:
    """The state of the ordinary comb that computes the same: gains multiplied into the weights."""
    state = comb.state_dict()
    for name, layer in comb.named_modules():
        if isinstance(layer, nn.Conv2d) and parametrize.is_parametrized(layer, "weight"):
            state = {key: value for key, value in state.items() if not key.startswith(f"{name}.parametrizations.")}
            state[f"{name}.weight"] = layer.weight.detach()
    return state


def _convolutions(modules: Sequence[nn.Module]) -> Iterator[nn.Conv2d]:
    return (layer for module in modules for layer in module.modules() if isinstance(layer, nn.Conv2d))
