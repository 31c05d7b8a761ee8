"""The warping family as the training loop sees it: the phases of Algorithm 1 on the data's portions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.blocks.held import held
from understudy.errors import DatasetError
from understudy.faces.boundary import MOUTH, load_topology, opening_masks
from understudy.faces.topology import NUM_POINTS
from understudy.families.warping.losses import (
    LossSettings,
    critic_loss,
    generator_loss,
    pair_loss,
    point_loss,
    target_signals,
)
from understudy.families.warping.network import WarpingNetwork
from understudy.family import Phase

if TYPE_CHECKING:
    from understudy.dataset.batches import Portion

HOUSE_SCALE = 5.0
"""Intensity that a portion's units hold as 1."""
LINES = "face17"
"""The lines of the mesh by which mouths are found."""
RIM = 2
"""Pixels about an open mouth in which painting is free."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One step's pictures and signals, as the network sees them."""

    pictures: Tensor
    """I: (B, 3, s, s) in [-1, 1]."""
    signals: Tensor
    """c_s: (B, c)."""
    targets: Tensor
    """c_t: (B, c)."""
    truth: Tensor
    """(B, 3, s, s) in [-1, 1]: what I looks like with c_t, where that is known."""
    counts: Tensor
    """(B, 1, s, s): how much each pixel of ``truth`` counts; 0 throughout where it is not known."""
    generator: torch.Generator
    """Of the step's further random numbers."""
    points: Tensor | None = None
    """(B, P, 2) points of the face in I, in the unit square; where known."""
    target_points: Tensor | None = None
    """(B, P, 2) the same points in ``truth``."""
    openings: Tensor | None = None
    """(B, 1, s, s) in [0, 1]: the inside of ``truth``'s mouth, where the loss asks and its mesh is known."""
    elsewhere: Tensor | None = None
    """(B, 1, s, s) in [0, 1]: all that is no mouth, where ``openings`` tell; 0 for other pictures."""


class WarpingTrainable:
    """A warping network as the training loop sees it (see ``understudy.family.Trainable``)."""

    def __init__(self, network: WarpingNetwork, losses: LossSettings, *, seed: int = 0) -> None:
        self.network: nn.Module = network
        self.warping = network
        self.losses = losses
        self.lines = load_topology(LINES)
        self.seed = seed

    def phases(self) -> Sequence[Phase]:
        generator = Phase(name="generator", every=self.losses.generator_every)
        if not (self.losses.refined_critic or self.losses.warped_critic):
            return (generator,)
        return (Phase(name="critic", every=self.losses.critic_every), generator)

    def parameter_groups(self, phase: str) -> Mapping[str, Sequence[nn.Parameter]]:
        network = self.warping
        if phase == "critic":
            return {
                "critic_refined": list(network.critic_refined.parameters()),
                "critic_warped": list(network.critic_warped.parameters()),
            }
        made = network.generator
        return {
            "motion": [*made.encoding.parameters(), *made.modulation.parameters(), *made.flow_pred.parameters()],
            "refinement": list(made.refine.parameters()),
        }

    def set_resolution(self, resolution: int) -> bool:
        return False

    def shown(self, batch: Sequence[Portion], generator: torch.Generator | None = None) -> Shown:
        """A batch as the network sees it; target signals are drawn where the data names none.

        Raises:
            DatasetError: pictures without signals, or with signals of another length.
        """
        settings = self.warping.settings
        if any(portion.signals is None for portion in batch):
            raise DatasetError(
                "the warping family learns from pictures whose action units or expressions are known, and these have none; "
                "train it with --data."
            )
        generator = generator or torch.Generator().manual_seed(self.seed)
        scale = HOUSE_SCALE / settings.unit_scale if settings.by_units else 1.0
        inputs = torch.cat([p.inputs for p in batch])
        signals = torch.cat([p.signals for p in batch if p.signals is not None]).float() * scale
        if signals.shape[1] != settings.signals:
            kind = "action units" if settings.by_units else "expressions"
            raise DatasetError(
                f"the data's signals have {signals.shape[1]} numbers and this network is driven by {settings.signals} {kind}; "
                f"train with the data's own list of expressions, or with units."
            )
        drawn = target_signals(signals, generator, self.losses, settings)
        truth, counts = torch.cat([p.targets for p in batch]), torch.zeros_like(inputs[:, :1])
        if self.losses.paired:
            named = [p.signals if p.target_signals is None else p.target_signals for p in batch]
            known = torch.cat([n for n in named if n is not None]).float() * scale
            # A target that is the input itself answers no other signal.
            told = (truth != inputs).flatten(1).any(1)
            drawn = torch.where(told[:, None], known, drawn)
            counts = 1 + self.losses.pair_face * torch.cat([p.weights for p in batch]).float()
            counts = counts * told[:, None, None, None]
        targets = _joined([p.target_points for p in batch])
        openings, elsewhere = self._mouths(targets, counts)
        return Shown(
            pictures=inputs.float() * 2 - 1,
            signals=signals,
            targets=drawn,
            truth=truth.float() * 2 - 1,
            counts=counts,
            generator=generator,
            points=_joined([p.points for p in batch]),
            target_points=targets,
            openings=openings,
            elsewhere=elsewhere,
        )

    def _mouths(self, points: Tensor | None, counts: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """(B, 1, s, s) the insides of mouths, rims included, and all that is no mouth; 0 for faces that are not known."""
        if self.losses.openings <= 0 or points is None or points.shape[1] != NUM_POINTS:
            return None, None
        size = self.warping.settings.size
        known = torch.isfinite(points).flatten(1).all(1) & (counts > 0).flatten(1).any(1)
        drawn = opening_masks(points.nan_to_num().double().cpu().numpy() * size, self.lines, size, openings=MOUTH)
        openings = torch.from_numpy(drawn)[:, None].to(points.device)
        # Lips cast a shade and mix with what lies behind them.
        around = functional.max_pool2d(openings, 2 * RIM + 1, stride=1, padding=RIM)
        known = known[:, None, None, None]
        return openings * known, (1 - around) * known

    def loss(self, phase: str, batch: Sequence[Portion], fade: float) -> tuple[Tensor, Mapping[str, Tensor]]:
        network = self.warping
        # The numbers depend on the seed and on how many losses there were: a stop in between changes nothing.
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + int(network.draws))
        network.draws += 1
        shown = self.shown(batch, generator)
        total, parts = self._critic(shown) if phase == "critic" else self._generator(shown)
        return total, {name: part.detach() for name, part in parts.items()}

    def _critic(self, shown: Shown) -> tuple[Tensor, dict[str, Tensor]]:
        network = self.warping
        made = None
        if self.losses.adversarial > 0:
            with torch.no_grad():
                made = network.generator(shown.pictures, shown.targets).refined
        share = torch.rand(len(shown.pictures), 1, 1, 1, generator=shown.generator).to(shown.pictures)
        critics = (network.critic_refined, network.critic_warped)
        return critic_loss(critics, shown.pictures, shown.signals, made, share, self.losses, network.settings)

    def _generator(self, shown: Shown) -> tuple[Tensor, dict[str, Tensor]]:
        network = self.warping
        critics = (network.critic_refined, network.critic_warped)
        with held(critics):
            made = network.generator(shown.pictures, shown.targets)
            cycle = network.generator(made.refined, shown.signals) if self.losses.cycle > 0 else None
            total, parts = generator_loss(
                critics,
                made,
                shown.targets,
                shown.pictures,
                cycle,
                self.losses,
                network.settings,
                shown.elsewhere,
            )
            if self.losses.paired:
                paired, figures = pair_loss(
                    network.critic_refined, made, shown.truth, shown.counts, self.losses, shown.openings
                )
                total, parts = total + paired, parts | figures
            told = shown.counts.flatten(1).any(1)
            if self.losses.points > 0 and shown.points is not None and shown.target_points is not None and told.any():
                parts["points"] = point_loss(
                    made.flow[told],
                    network.settings.coefficient,
                    shown.points[told],
                    shown.target_points[told],
                    self.losses.points_moving,
                )
                total = total + self.losses.points * parts["points"]
            if shown.openings is not None:
                painted = (made.refined - made.warped).abs()
                parts["painted"] = (painted * shown.openings).sum() / (3 * shown.openings.sum()).clamp_min(1e-6)
        return total, parts

    @torch.no_grad()
    def preview(self, batch: Sequence[Portion], fade: float) -> np.ndarray:
        """Columns: the picture, warped, refined, what its target shows, and the motion (grey is none)."""
        shown = self.shown(batch)
        made = self.warping.generator(shown.pictures, shown.targets)
        motion = torch.cat([made.flow, -made.flow.sum(1, keepdim=True)], 1) * 4
        columns = [shown.pictures, made.warped, made.refined, shown.truth, motion]
        grid = torch.cat([column.float() for column in columns], 3).permute(0, 2, 3, 1)
        pixels = (grid.reshape(-1, *grid.shape[2:]).clamp(-1, 1) + 1) * 127.5
        return pixels.round().byte().cpu().numpy()

    def checkpoint(self) -> tuple[Mapping[str, Tensor], Mapping[str, Any]]:
        """The generator; the critics stay in the run."""
        card = {"settings": asdict(self.warping.settings), "resolution": self.warping.settings.size}
        return dict(self.warping.generator.state_dict()), card


def _joined(tensors: Sequence[Tensor | None]) -> Tensor | None:
    known = [tensor for tensor in tensors if tensor is not None]
    return torch.cat(known) if known and len(known) == len(tensors) else None
