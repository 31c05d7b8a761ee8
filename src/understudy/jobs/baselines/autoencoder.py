"""The autoencoder that face-swapping tools have trained since 2017, from its published descriptions; every line our own.

One encoder that both people share, a dense bottleneck, one decoder a person. Strided 5 x 5 convolutions halve the picture
down to 4 x 4, two dense layers pass through the bottleneck, and each doubling is a 3 x 3 convolution to four times the
channels followed by a pixel shuffle. Each decoder learns to draw its own person from a randomly warped picture, so the
encoder has to describe the performance; at work, one person's picture goes through the other's decoder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.blocks.structural_similarity import masked_ms_ssim
from understudy.family import Phase

if TYPE_CHECKING:
    from understudy.dataset.batches import Portion

_SLOPE = 0.1  # of the leaky rectifier
_SMALLEST = 4  # side of the innermost picture


@dataclass(frozen=True, kw_only=True)
class AutoencoderSettings:
    """The published sizes at 64 pixels: 128 to 1024 channels down, 1024 through the bottleneck, 512 to 64 up."""

    size: int = 64
    """Side of the pictures, a power of two from 16 to 256."""
    width: int = 128
    """Channels of the first convolution; they double with each halving, up to eight times as many."""
    bottleneck: int = 1024


LIGHT = AutoencoderSettings(width=64, bottleneck=512)
"""Half as wide, as those tools offer for small machines: a quarter of the work, and in minutes on a processor far ahead."""


class Doubling(nn.Sequential):
    """(B, inputs, h, w) -> (B, outputs, 2h, 2w)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, 4 * outputs, 3, padding=1), nn.LeakyReLU(_SLOPE, inplace=True), nn.PixelShuffle(2)
        )


class Autoencoder(nn.Module):
    """Pictures (B, 3, s, s) in [0, 1] to the same performance by another identity."""

    def __init__(self, settings: AutoencoderSettings, identities: Sequence[str]) -> None:
        super().__init__()
        self.settings, self.identities = settings, tuple(identities)
        halvings = (settings.size // _SMALLEST).bit_length() - 1
        widths = [3, *(settings.width * min(1 << place, 8) for place in range(halvings))]
        downs: list[nn.Module] = []
        for inputs, outputs in zip(widths, widths[1:], strict=False):
            downs += [nn.Conv2d(inputs, outputs, 5, stride=2, padding=2), nn.LeakyReLU(_SLOPE, inplace=True)]
        ups = [max(widths[-1] >> (1 + place), 8) for place in range(halvings)]
        inner = widths[-1] * _SMALLEST**2
        self.encoder = nn.Sequential(
            *downs,
            nn.Flatten(),
            nn.Linear(inner, settings.bottleneck),
            nn.Linear(settings.bottleneck, inner),
            nn.Unflatten(1, (widths[-1], _SMALLEST, _SMALLEST)),
            Doubling(widths[-1], ups[0]),
        )
        self.decoders = nn.ModuleList(
            nn.Sequential(
                *(Doubling(inputs, outputs) for inputs, outputs in zip(ups, ups[1:], strict=False)),
                nn.Conv2d(ups[-1], 3, 5, padding=2),
            )
            for _ in self.identities
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)

    def forward(self, pictures: Tensor, identity: str) -> Tensor:
        """(B, 3, s, s) -> (B, 3, s, s) in [0, 1], as ``identity``."""
        return torch.sigmoid(self.decoders[self.identities.index(identity)](self.encoder(pictures)))


def autoencoder_loss(outputs: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Structural dissimilarity (1 - SSIM) / 2 plus mean absolute error, both inside the face; tools have used either or both.

    Args:
        outputs, targets: (B, 3, s, s) in [0, 1].
        weights: (B, 1, s, s); what is above 1 counts as 1.
    """
    with torch.autocast(outputs.device.type, enabled=False):
        outputs, mask = outputs.float(), weights.clamp(0, 1)
        dissimilarity = (1 - masked_ms_ssim(outputs, targets, mask, (1.0,))) / 2
        return dissimilarity + functional.l1_loss(outputs * mask, targets * mask)


class AutoencoderTrainable:
    """The autoencoder as the training loop sees it (see ``understudy.family.Trainable``)."""

    def __init__(self, network: Autoencoder) -> None:
        self.network: nn.Module = network
        self.autoencoder = network

    def phases(self) -> Sequence[Phase]:
        """One: every person's own pictures."""
        return (Phase(name="reconstruct"),)

    def parameter_groups(self, phase: str) -> Mapping[str, Sequence[nn.Parameter]]:
        """All of it."""
        return {"all": list(self.network.parameters())}

    def set_resolution(self, resolution: int) -> bool:
        """It does not grow."""
        return False

    def loss(self, phase: str, batch: Sequence[Portion], fade: float) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Mean over the people."""
        losses = [
            autoencoder_loss(self.network(portion.inputs, portion.identity), portion.targets, portion.weights)
            for portion in batch
        ]
        return torch.stack(losses).mean(), {}

    @torch.no_grad()
    def preview(self, batch: Sequence[Portion], fade: float) -> np.ndarray:
        """Columns: the picture, then the same performance by every identity."""
        rows = [
            torch.cat(
                [portion.inputs, *(self.network(portion.inputs, name).float() for name in self.autoencoder.identities)],
                3,
            )
            for portion in batch
        ]
        grid = torch.cat(rows).permute(0, 2, 3, 1)
        return (grid.reshape(-1, *grid.shape[2:]).clamp(0, 1) * 255).round().byte().cpu().numpy()

    def checkpoint(self) -> tuple[Mapping[str, Tensor], Mapping[str, Any]]:
        """Everything."""
        card = {"settings": asdict(self.autoencoder.settings), "identities": list(self.autoencoder.identities)}
        return dict(self.network.state_dict()), card
