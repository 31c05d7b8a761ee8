"""The comb's one training phase: every identity reconstructs its own pictures through the shared encoder.

The paper's loss is not in its appendix; second-hand accounts name MS-SSIM inside the face mask. Here: MS-SSIM (Wang, Simoncelli
and Bovik 2003) and a weighted L1, both inside the mask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from understudy.blocks.structural_similarity import (
    SCALE_WEIGHTS,
    SMALLEST,
    WINDOW,
    crispness,
    masked_ms_ssim,
    weighted_l1,
)
from understudy.families.comb import modulated
from understudy.families.comb.guide import Guide, crossed
from understudy.families.comb.network import CombNetwork, level_size, trimmed
from understudy.family import Phase

if TYPE_CHECKING:
    from understudy.dataset.batches import Portion


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """Weights of the loss terms."""

    ssim: float = 0.5
    """Of 1 - MS-SSIM."""
    l1: float = 1.0
    """Of the weighted mean absolute difference."""
    scale_weights: tuple[float, ...] = SCALE_WEIGHTS
    """Exponents of MS-SSIM's scales, the finest first. Those of Wang et al. were fitted to people's tolerance of damaged
    pictures and hardly count the finest scale: a blur is cheap."""
    crisp: float = 0.0
    """Of 1 - crispness: as much finest detail as the answer has, wherever exactly it lies."""
    keep: float = 0.0
    """Of the distance, in light and colours, from what the start makes of other people's pictures
    (:mod:`understudy.families.comb.guide`); 0 also where training starts from nothing."""


def reconstruction_loss(
    outputs: Tensor, targets: Tensor, weights: Tensor, settings: LossSettings
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss and its parts; below 11 pixels, where SSIM's window does not fit, L1 alone."""
    # SSIM's variances are small differences of large numbers: in bf16 nothing of them would be left.
    with torch.autocast(outputs.device.type, enabled=False):
        outputs = outputs.float()
        l1 = weighted_l1(outputs, targets, weights)
        total, parts = settings.l1 * l1, {"l1": l1.detach()}
        if settings.ssim > 0 and targets.shape[-1] >= WINDOW:
            ssim = masked_ms_ssim(outputs, targets, weights, settings.scale_weights)
            total = total + settings.ssim * (1 - ssim)
            parts["ms_ssim"] = ssim.detach()
        if settings.crisp > 0 and targets.shape[-1] >= SMALLEST:
            crisp = crispness(outputs, targets, weights)
            total = total + settings.crisp * (1 - crisp)
            parts["crisp"] = crisp.detach()
        return total, parts


class CombTrainable:
    """A comb network as the training loop sees it (see ``understudy.family.Trainable``)."""

    def __init__(self, network: CombNetwork, losses: LossSettings, guide: Guide | None = None) -> None:
        """
        Args:
            guide: what the start knows; needed for ``losses.keep``.
        """
        self.network: nn.Module = network
        self.comb = network
        self.losses = losses
        self.guide = guide
        self.steps = 0

    def phases(self) -> Sequence[Phase]:
        return (Phase(name="reconstruct"),)

    def parameter_groups(self, phase: str) -> Mapping[str, Sequence[nn.Parameter]]:
        groups: dict[str, Sequence[nn.Parameter]] = {
            "encoder": list(self.comb.encoder.parameters()),
            "shared": list(self.comb.shared.parameters()),
        }
        if modulated.is_modulated(self.comb):
            return {**groups, **modulated.parameter_groups(self.comb)}
        return groups | {"branches": list(self.comb.branches.parameters())}

    def set_resolution(self, resolution: int) -> bool:
        level = (resolution // 4).bit_length() - 1
        changed = level != self.comb.level or len(self.comb.rgb_levels()) > len(self.comb.picture_levels()) + 1
        if changed:
            self.comb.grow_to(level)
        return changed

    def loss(self, phase: str, batch: Sequence[Portion], fade: float) -> tuple[Tensor, Mapping[str, Tensor]]:
        comb = self.comb
        latents = comb.encode(torch.cat([p.inputs for p in batch]), fade).split([len(p.inputs) for p in batch])
        outputs = [comb.decode(latent, p.identity, fade) for latent, p in zip(latents, batch, strict=True)]
        total, parts = reconstruction_loss(
            torch.cat(outputs),
            torch.cat([p.targets for p in batch]),
            torch.cat([p.weights for p in batch]),
            self.losses,
        )
        if self.guide is not None and self.losses.keep > 0 and len(batch) > 1:
            parts["keep"] = self._kept(batch, latents, fade)
            total = total + self.losses.keep * parts["keep"]
        return total, {name: part.detach() for name, part in parts.items()}

    def _kept(self, batch: Sequence[Portion], latents: Sequence[Tensor], fade: float) -> Tensor:
        """How far everybody's branch, shown somebody else, is from what the start knows of that light."""
        assert self.guide is not None
        self.guide.to(latents[0].device)
        differences = []
        for at, other in crossed([p.identity for p in batch], self.steps):
            identity, shown = batch[at].identity, batch[other]
            # A quarter of the pictures: light is one thing a picture, detail is thousands.
            few = max(1, len(shown.inputs) // 4)
            made = self.comb.decode(latents[other][:few], identity, fade)
            with torch.autocast(made.device.type, enabled=False):
                differences.append(self.guide.loss(made, shown.inputs[:few], shown.weights[:few], identity))
        self.steps += 1
        return torch.stack(differences).mean()

    @torch.no_grad()
    def preview(self, batch: Sequence[Portion], fade: float) -> np.ndarray:
        """Columns: the picture, its reconstruction, the same performance by the next identity, and so on."""
        rows = []
        names = [p.identity for p in batch]
        for at, portion in enumerate(batch):
            order = names[at:] + names[:at]
            shown = order[: min(len(order), 5)]
            outputs = self.network([portion.inputs] * len(shown), shown, fade)
            columns = [portion.inputs, *(o.float() for o in outputs)]
            while len(columns) < 1 + min(len(names), 5):
                columns.append(torch.zeros_like(portion.inputs))
            rows.append(torch.cat(columns, 3))
        grid = torch.cat(rows).permute(0, 2, 3, 1)
        return (grid.reshape(-1, *grid.shape[2:]).clamp(0, 1) * 255).round().byte().numpy()

    def checkpoint(self) -> tuple[Mapping[str, Tensor], Mapping[str, Any]]:
        comb = self.comb
        settings = trimmed(comb.settings, comb.level)
        # Levels that have not begun to train are no part of the result.
        kept = CombNetwork(settings, comb.identities).state_dict().keys()
        tensors = {name: tensor for name, tensor in modulated.plain_state(comb).items() if name in kept}
        card = {
            "settings": asdict(settings),
            "identities": list(comb.identities),
            "resolution": level_size(comb.level),
        }
        return tensors, card
