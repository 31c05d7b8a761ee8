"""The training of encoder, MLPs and generator, as the loop sees it: reconstruction alone (paper 001, section 3.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from understudy.blocks.held import held
from understudy.errors import DatasetError
from understudy.families.regional_inversion.discriminator import Discriminator
from understudy.families.regional_inversion.generator_training import r1_penalty
from understudy.families.regional_inversion.judges import Judges
from understudy.families.regional_inversion.losses import InversionLosses, discriminator_loss, reconstruction_loss
from understudy.families.regional_inversion.network import inversion_of
from understudy.families.regional_inversion.places import RegionMaps
from understudy.families.regional_inversion.settings import RegionalSettings
from understudy.family import Phase

if TYPE_CHECKING:
    from understudy.dataset.batches import Portion


class InversionNetwork(nn.Module):
    """Everything that trains: inversion network and discriminator."""

    draws: Tensor
    rounds: Tensor

    def __init__(self, settings: RegionalSettings) -> None:
        super().__init__()
        self.settings = settings
        self.inversion = inversion_of(settings)
        self.D = Discriminator(settings)
        # Kept with the weights, so that a stopped training goes on with the same numbers.
        self.register_buffer("draws", torch.zeros((), dtype=torch.int64))
        self.register_buffer("rounds", torch.zeros((), dtype=torch.int64))


class InversionTrainable:
    """Regional inversion as the training loop sees it (see ``understudy.family.Trainable``)."""

    def __init__(
        self,
        network: InversionNetwork,
        losses: InversionLosses,
        judges: Judges | None = None,
        *,
        noise: str = "random",
        exact_every: int = 1,
        seed: int = 0,
    ) -> None:
        """
        Args:
            judges: networks that the losses ask; none of them learns.
            noise: ``random``, anew for every picture as in the published code, or ``fixed``.
            exact_every: eq. 4 as it is in every so-many-th step; in the others pixel by pixel (``generator.by_pixel``), which
                takes less than half of the time.
        """
        self.network: nn.Module = network
        self.whole, self.losses, self.judges = network, losses, judges or Judges()
        self.taught_by = self.judges.teachers
        self.noise, self.exact_every, self.seed = noise, exact_every, seed
        self._made: tuple[Sequence[Portion], Tensor] | None = None

    def phases(self) -> Sequence[Phase]:
        inversion = Phase(name="inversion")
        if not self.losses.discriminated:
            return (inversion,)
        return (inversion, Phase(name="discriminator", every=self.losses.discriminator_every))

    def parameter_groups(self, phase: str) -> Mapping[str, Sequence[nn.Parameter]]:
        if phase == "discriminator":
            return {"discriminator": list(self.whole.D.parameters())}
        return self.whole.inversion.groups()

    def set_resolution(self, resolution: int) -> bool:
        return False

    def shown(self, batch: Sequence[Portion]) -> tuple[Tensor, RegionMaps, Tensor]:
        """Pictures in [-1, 1], their maps, and how much more each pixel counts.

        Raises:
            DatasetError: pictures whose regions are not known.
        """
        if any(portion.regions is None for portion in batch):
            raise DatasetError("regional inversion learns from pictures whose regions are known, and these have none.")
        pictures = torch.cat([portion.targets for portion in batch]).float() * 2 - 1
        regions = torch.cat([portion.regions for portion in batch if portion.regions is not None])
        return pictures, RegionMaps(regions), torch.cat([portion.weights for portion in batch]).float()

    def loss(self, phase: str, batch: Sequence[Portion], fade: float) -> tuple[Tensor, Mapping[str, Tensor]]:
        whole, losses = self.whole, self.losses
        # The numbers depend on the seed and on how many losses there were: a stop in between changes nothing.
        numbers = torch.Generator().manual_seed(self.seed * 1_000_003 + int(whole.draws))
        whole.draws += 1
        pictures, regions, details = self.shown(batch)
        # Rounds are the discriminator's; what is left are the inversion's own steps.
        regions.by_pixel = int(whole.draws - whole.rounds) % self.exact_every != 0
        noise = None
        if self.noise == "random":
            noise = whole.inversion.draw_noise(len(pictures), numbers, pictures.device)
        if phase == "discriminator":
            if self._made is not None and self._made[0] is batch:
                made = self._made[1]  # this step's, by the weights from before it
            else:
                with torch.no_grad():
                    made, _ = whole.inversion(pictures, regions, noise)
            self._made = None
            total, parts = discriminator_loss(whole.D, made, pictures)
            if losses.r1 > 0 and int(whole.rounds) % losses.r1_every == 0:
                parts["r1"] = r1_penalty(whole.D, pictures)
                total = total + losses.r1 / 2 * losses.r1_every * parts["r1"]
            whole.rounds += 1
        else:
            self.judges.to(pictures.device)
            made, codes = whole.inversion(pictures, regions, noise)
            self._made = (batch, made.detach())
            with held([whole.D]):
                total, parts = reconstruction_loss(
                    made,
                    pictures,
                    losses,
                    self.judges,
                    details=details,
                    discriminator=whole.D,
                    codes=whole.inversion.beyond_mean(codes),
                )
        return total, {name: part.detach() for name, part in parts.items()}

    @torch.no_grad()
    def preview(self, batch: Sequence[Portion], fade: float) -> np.ndarray:
        """Columns: the picture, its regions, its reconstruction, the same regions with another picture's texture; twice over."""
        pictures, regions, _ = self.shown(batch)
        network = self.whole.inversion.eval()  # to look at it changes nothing
        codes = network.codes(network.vectors(pictures, regions))
        made = network.G(codes, regions)
        worn = network.G(codes.roll(1, 0), regions)
        network.train()
        columns = torch.cat([pictures, colours(regions.labels), made.float(), worn.float()], 3)
        rows = columns[: len(columns) // 2 * 2]
        grid = torch.cat([rows[::2], rows[1::2]], 3).permute(0, 2, 3, 1)
        pixels = (grid.reshape(-1, *grid.shape[2:]).clamp(-1, 1) + 1) * 127.5
        return pixels.round().byte().cpu().numpy()

    def checkpoint(self) -> tuple[Mapping[str, Tensor], Mapping[str, Any]]:
        """The inversion network under its own names, and the discriminator, from which training can go on."""
        whole = self.whole
        tensors = dict(whole.inversion.state_dict())
        tensors |= {f"D.{name}": value for name, value in whole.D.state_dict().items()}
        card = {"settings": asdict(whole.settings), "resolution": whole.settings.size, "stage": "inversion"}
        return tensors, card


def colours(labels: Tensor) -> Tensor:
    """(B, h, w) regions as pictures (B, 3, h, w) in [-1, 1], a colour each."""
    hue = labels.float() * (2 * torch.pi / 12 * 5)  # neighbours in the list far apart on the circle
    turns = torch.tensor([0.0, 2.1, 4.2], device=labels.device)[None, :, None, None]
    shown = torch.cos(hue[:, None] + turns) * 0.8
    return torch.where(labels[:, None] == 0, torch.full_like(shown, -0.9), shown)
