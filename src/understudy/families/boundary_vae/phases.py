"""The family as the training loop sees it: one phase on the data's portions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from understudy.errors import DatasetError
from understudy.faces.boundary import boundary_maps, opening_masks
from understudy.families.boundary_vae.features import feature_network
from understudy.families.boundary_vae.losses import LossSettings, kl_term, reconstruction
from understudy.families.boundary_vae.memory import effective_number
from understudy.families.boundary_vae.network import Answer, BoundaryNetwork
from understudy.family import Phase

if TYPE_CHECKING:
    from understudy.dataset.batches import Portion


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One step's pictures and lines."""

    pictures: Tensor
    """(B, 3, s, s) in [-1, 1]: what the appearance is taken from."""
    truth: Tensor
    """x: (B, 3, s, s) in [-1, 1], what the answer is to be."""
    points: Tensor
    """(B, N, 2) of ``pictures``, in the unit square."""
    target_points: Tensor
    """(B, N, 2) of ``truth``."""
    maps: Tensor
    """(B, K, s, s) boundary maps of ``pictures``."""
    target_maps: Tensor
    """c: (B, K, s, s) of ``truth``."""
    inside: Tensor
    """(B, 1, s, s): 0 outside the face, 1 inside, more at eyes and mouth."""
    counts: Tensor
    """(B, 1, s, s): how much each pixel counts."""
    unknown: Tensor | None = None
    """(B, 1, s, s) in [0, 1]: where ``truth`` is no answer, if that is so anywhere."""
    openings: Tensor | None = None
    """(B, 1, s, s) in [0, 1]: what lies between lips and lids of ``truth``, where the loss asks."""


class BoundaryTrainable:
    """A network in training (see ``understudy.family.Trainable``)."""

    def __init__(self, network: BoundaryNetwork, losses: LossSettings, *, seed: int = 0) -> None:
        self.network: nn.Module = network
        self.boundary = network
        self.losses = losses
        self.seed = seed
        # Beside the network and not in it: what is compared with is neither trained nor saved.
        self.features = feature_network(losses.perceptual) if losses.features > 0 else None

    def phases(self) -> Sequence[Phase]:
        return (Phase(name="reconstruct"),)

    def parameter_groups(self, phase: str) -> Mapping[str, Sequence[nn.Parameter]]:
        network = self.boundary
        return {
            "appearance": list(network.appearance.parameters()),
            "structure": list(network.structure_encoder.parameters()),
            "decoder": list(network.decoder.parameters()),
            "prior": [parameter for parameter in network.memory.parameters() if parameter.requires_grad],
        }

    def set_resolution(self, resolution: int) -> bool:
        return False

    def shown(self, batch: Sequence[Portion]) -> Shown:
        """A batch as the network sees it.

        Raises:
            DatasetError: pictures without points, or the memory is still empty.
        """
        settings = self.boundary.settings
        if settings.gmm and not self.boundary.memory.filled:
            raise DatasetError("the memory has no focal points yet; it is made from the data's boundary maps (--data).")
        known = [(p.points, p.target_points) for p in batch if p.points is not None and p.target_points is not None]
        if len(known) < len(batch):
            raise DatasetError(
                "the boundary_vae family learns from pictures whose landmarks are known, and these have none; train it with --data."
            )
        inputs, truth = torch.cat([p.inputs for p in batch]).float(), torch.cat([p.targets for p in batch]).float()
        points, targets = (torch.cat([pair[place] for pair in known]).float() for place in (0, 1))
        inside = torch.cat([p.weights for p in batch]).float()
        counts, unknown = 1 + self.losses.face * inside, None
        if all(p.alike is not None for p in batch):
            # Where light and surroundings are another picture's, only the face has an answer.
            alike = torch.cat([p.alike for p in batch if p.alike is not None])[:, None, None, None]
            counts = torch.where(alike > 0.5, counts, self.losses.face * inside)
            unknown = torch.where(alike > 0.5, torch.zeros_like(inside), 1 - inside.clamp(0, 1))
        return Shown(
            pictures=inputs * 2 - 1,
            truth=truth * 2 - 1,
            points=points,
            target_points=targets,
            maps=self.maps(points),
            target_maps=self.maps(targets),
            inside=inside,
            counts=counts,
            unknown=unknown,
            openings=self._openings(targets) if self.losses.openings > 0 else None,
        )

    def maps(self, points: Tensor) -> Tensor:
        """(B, K, s, s) boundary maps of (B, N, 2) points in the unit square."""
        settings = self.boundary.settings
        drawn = boundary_maps(
            points.double().cpu().numpy() * settings.size, settings.topology, settings.size, sigma=settings.sigma
        )
        return torch.from_numpy(drawn).to(points.device, memory_format=torch.channels_last)

    def _openings(self, points: Tensor) -> Tensor:
        settings = self.boundary.settings
        masks = opening_masks(points.double().cpu().numpy() * settings.size, settings.topology, settings.size)
        return torch.from_numpy(masks)[:, None].to(points.device)

    def loss(self, phase: str, batch: Sequence[Portion], fade: float) -> tuple[Tensor, Mapping[str, Tensor]]:
        network, settings = self.boundary, self.boundary.settings
        # The numbers depend on the seed and on how many losses there were: a stop in between changes nothing.
        step = int(network.draws)
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        network.draws += 1
        shown = self.shown(batch)
        mean, log_variance = network.appearance(shown.pictures, shown.maps)
        z = mean
        if self.losses.kl > 0:
            z = mean + (0.5 * log_variance).exp() * torch.randn(mean.shape, generator=generator).to(mean)
        answer = self._answer(z, shown)
        if self.features is not None:
            self.features.to(z.device)
        total, parts = reconstruction(
            answer,
            shown.truth,
            shown.counts,
            shown.inside,
            self.features,
            self.losses,
            shown.openings,
            shown.unknown,
        )
        if self.losses.kl > 0:
            # z is read off the picture that is shown: y in p(z|y) is that picture's.
            prior = network.prior(shown.maps)
            share, figures = kl_term((mean, log_variance), prior, 3 * settings.size**2, self.losses, step)
            total, parts = total + share, parts | figures
        if settings.gmm:
            weights = network.memory.weights(shown.maps)
            parts["memory/effective"] = effective_number(weights).mean()
            parts["memory/spread"] = weights.std(0, correction=0).mean()
        if answer.mask is not None:
            parts["painted"] = 1 - answer.mask.mean()
        return total, {name: part.detach() for name, part in parts.items()}

    def _answer(self, z: Tensor, shown: Shown) -> Answer:
        network = self.boundary
        structure = network.structure(shown.target_maps, shown.maps)
        return network.decode(z, structure, shown.pictures, shown.points, shown.target_points)

    @torch.no_grad()
    def preview(self, batch: Sequence[Portion], fade: float) -> np.ndarray:
        """Columns: the picture, the target's lines, the answer, what the target shows, what was painted; with motion also the
        mask and the motion (grey is none)."""
        shown = self.shown(batch)
        mean, _ = self.boundary.appearance(shown.pictures, shown.maps)
        answer = self._answer(mean, shown)
        lines = shown.target_maps.amax(1, keepdim=True).expand(-1, 3, -1, -1) * 2 - 1
        columns = [shown.pictures, lines, answer.picture, shown.truth, answer.painted]
        if answer.mask is not None and answer.motion is not None:
            motion = torch.cat([answer.motion, -answer.motion.sum(1, keepdim=True)], 1) * 10
            columns += [answer.mask.expand(-1, 3, -1, -1) * 2 - 1, motion]
        grid = torch.cat([column.float() for column in columns], 3).permute(0, 2, 3, 1)
        pixels = (grid.reshape(-1, *grid.shape[2:]).clamp(-1, 1) + 1) * 127.5
        return pixels.round().byte().cpu().numpy()

    def checkpoint(self) -> tuple[Mapping[str, Tensor], Mapping[str, Any]]:
        """The whole network; its card holds the topology, so that no file is needed beside it."""
        tensors = {name: tensor for name, tensor in self.boundary.state_dict().items() if name != "draws"}
        settings = self.boundary.settings
        return tensors, {"settings": settings.as_record(), "resolution": settings.size}
