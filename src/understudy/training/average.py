"""Averaged weights: the mean of the last steps moves less than the steps do, and looks better."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class AveragedWeights:
    """Exponential moving average whose memory is counted in training pictures."""

    def __init__(self, *, half_life: int) -> None:
        self.half_life = half_life
        self.tensors: dict[str, torch.Tensor] = {}

    def follow(self, network: nn.Module) -> None:
        """Take in parameters that came with a new level, forget those that went."""
        now = dict(network.named_parameters())
        self.tensors = {
            name: self.tensors[name] if name in self.tensors else parameter.detach().clone()
            for name, parameter in now.items()
        }

    @torch.no_grad()
    def update(self, network: nn.Module, pictures: int) -> None:
        if self.half_life <= 0:
            return
        keep = 0.5 ** (pictures / self.half_life)
        parameters = dict(network.named_parameters())
        names = list(self.tensors)
        torch._foreach_lerp_([self.tensors[n] for n in names], [parameters[n].detach() for n in names], 1.0 - keep)

    @contextmanager
    def in_place_of(self, network: nn.Module) -> Iterator[None]:
        """Inside, the network has the averaged weights."""
        if self.half_life <= 0:
            yield
            return
        parameters = dict(network.named_parameters())
        plain = {name: parameters[name].data for name in self.tensors}
        try:
            for name, tensor in self.tensors.items():
                parameters[name].data = tensor
            yield
        finally:
            for name, tensor in plain.items():
                parameters[name].data = tensor
