"""The generator's training, as the loop sees it: StyleGAN2's losses (Karras and others 2020, section 3 and appendix B).

    discriminator   softplus(D(G(z))) + softplus(-D(x));   every 16th time + γ/2 E|∇D(x)|² · 16              R1
    generator       softplus(-D(G(z)));                    every 4th time + λ E(|J_w^T y| - a)² · 4           path length

The two penalties are added to the step that they fall on, where the publication makes a step of its own of them. With ``adaptive``
the discriminator sees augmented pictures (:mod:`adaptive`), and R1's gradient is taken at what it sees.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.blocks.held import held
from understudy.errors import OptionError
from understudy.families.regional_inversion.adaptive import AdaptiveProbability, augmented
from understudy.families.regional_inversion.discriminator import Discriminator
from understudy.families.regional_inversion.generator import Generator, draw_noise
from understudy.families.regional_inversion.layers import in_float32
from understudy.families.regional_inversion.network import mean_latent
from understudy.families.regional_inversion.settings import RegionalSettings
from understudy.family import Phase

if TYPE_CHECKING:
    from understudy.dataset.batches import Portion

PATH_DECAY = 0.01


@dataclass(frozen=True, kw_only=True)
class GeneratorLosses:
    """Weights of the generator's training. The defaults are the publication's for 1024²."""

    r1: float = 10.0
    """γ."""
    path: float = 2.0
    """λ of the path length."""
    mixing: float = 0.9
    """Share of pictures that two codes make."""
    adaptive: float = 0.0
    """r_t that augmentation aims at (0.6 in the publication); 0: no augmentation."""
    r1_every: int = 16
    path_every: int = 4
    adaptive_pictures: int = 500_000
    """Real pictures in which the chance of an augmentation can rise from 0 to 1."""

    def __post_init__(self) -> None:
        counts = ("r1_every", "path_every", "adaptive_pictures")
        wrong = [f"{name} {value}" for name, value in vars(self).items() if value < (1 if name in counts else 0)]
        if wrong or self.mixing > 1 or self.adaptive >= 1:
            raise OptionError(
                f"regional_inversion: {', '.join(wrong) or f'mixing {self.mixing} or adaptive {self.adaptive}'} cannot be; weights "
                f"are 0 or more, shares at most 1, {', '.join(counts)} 1 or more."
            )


class GanNetwork(nn.Module):
    """Everything that trains or is remembered."""

    draws: Tensor
    rounds: Tensor
    path_mean: Tensor

    def __init__(self, settings: RegionalSettings) -> None:
        super().__init__()
        self.settings = settings
        self.G = Generator(settings)
        self.D = Discriminator(settings)
        self.adaptive = AdaptiveProbability()
        # Kept with the weights, so that a stopped training goes on with the same numbers.
        self.register_buffer("draws", torch.zeros((), dtype=torch.int64))
        self.register_buffer("rounds", torch.zeros((), dtype=torch.int64))
        self.register_buffer("path_mean", torch.zeros(()))


def r1_penalty(discriminator: Discriminator, pictures: Tensor) -> Tensor:
    """E|∇D(x)|² of (B, 3, s, s)."""
    with in_float32(pictures):
        pictures = pictures.detach().float().requires_grad_(True)
        (slope,) = torch.autograd.grad(discriminator(pictures).sum(), pictures, create_graph=True)
        return slope.square().sum((1, 2, 3)).mean()


def path_lengths(pictures: Tensor, codes: Tensor, directions: Tensor) -> Tensor:
    """|J_w^T y|: (B,) from pictures G(w), the codes (B, layers, latent) that made them, and y of the pictures' shape."""
    (slope,) = torch.autograd.grad((pictures * directions).sum(), codes, create_graph=True)
    return slope.square().sum(2).mean(1).sqrt()


class GeneratorTrainable:
    """Generator and discriminator as the training loop sees them (see ``understudy.family.Trainable``)."""

    def __init__(self, network: GanNetwork, losses: GeneratorLosses, *, seed: int = 0) -> None:
        self.network: nn.Module = network
        self.gan, self.losses, self.seed = network, losses, seed

    def phases(self) -> Sequence[Phase]:
        return (Phase(name="discriminator"), Phase(name="generator"))

    def parameter_groups(self, phase: str) -> Mapping[str, Sequence[nn.Parameter]]:
        if phase == "discriminator":
            return {"discriminator": list(self.gan.D.parameters())}
        return {"generator": list(self.gan.G.parameters())}

    def set_resolution(self, resolution: int) -> bool:
        return False

    def codes(self, batch: int, numbers: torch.Generator) -> Tensor:
        """(B, layers, latent): of one code each, or of two with a change at a random layer."""
        generator, settings = self.gan.G, self.gan.settings
        device = generator.input.input.device
        first, second = (
            generator.map(torch.randn(batch, settings.latent, generator=numbers).to(device)) for _ in (0, 1)
        )
        change = torch.randint(1, settings.layers, (batch, 1), generator=numbers)
        mixed = torch.rand(batch, 1, generator=numbers) < self.losses.mixing
        change = torch.where(mixed, change, settings.layers)
        one = (torch.arange(settings.layers)[None] < change)[:, :, None].to(device)
        return torch.where(one, first[:, None], second[:, None])

    def loss(self, phase: str, batch: Sequence[Portion], fade: float) -> tuple[Tensor, Mapping[str, Tensor]]:
        gan = self.gan
        # The numbers depend on the seed and on how many losses there were: a stop in between changes nothing.
        numbers = torch.Generator().manual_seed(self.seed * 1_000_003 + int(gan.draws))
        gan.draws += 1
        pictures = torch.cat([portion.targets for portion in batch]) * 2 - 1
        total, parts = (
            self._discriminator(pictures, numbers) if phase == "discriminator" else self._generator(pictures, numbers)
        )
        return total, {name: part.detach() for name, part in parts.items()}

    def _discriminator(self, pictures: Tensor, numbers: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        gan, losses = self.gan, self.losses
        p = float(gan.adaptive.p) if losses.adaptive > 0 else 0.0
        with torch.no_grad():
            noise = draw_noise(gan.settings, len(pictures), numbers, pictures.device)
            made = gan.G(self.codes(len(pictures), numbers), noise=noise)
        real = augmented(pictures, p, numbers)
        scores, fooled = gan.D(real), gan.D(augmented(made, p, numbers))
        total = functional.softplus(fooled).mean() + functional.softplus(-scores).mean()
        parts = {"score/real": scores.mean(), "score/made": fooled.mean()}
        if losses.adaptive > 0:
            gan.adaptive.observe(scores.detach(), target=losses.adaptive, pictures=losses.adaptive_pictures)
            parts["adaptive/p"] = gan.adaptive.p.clone()
        if losses.r1 > 0 and int(gan.rounds) % losses.r1_every == 0:
            parts["r1"] = r1_penalty(gan.D, real)
            total = total + losses.r1 / 2 * losses.r1_every * parts["r1"]
        gan.rounds += 1
        return total, parts

    def _generator(self, pictures: Tensor, numbers: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        gan, losses = self.gan, self.losses
        p = float(gan.adaptive.p) if losses.adaptive > 0 else 0.0
        noise = draw_noise(gan.settings, len(pictures), numbers, pictures.device)
        with held([gan.D]):
            made = gan.G(self.codes(len(pictures), numbers), noise=noise)
            total = functional.softplus(-gan.D(augmented(made, p, numbers))).mean()
        parts: dict[str, Tensor] = {}
        if losses.path > 0 and int(gan.rounds) % losses.path_every == 0:
            parts["path"] = self._path(max(len(pictures) // 2, 1), numbers, pictures.device)
            total = total + losses.path * losses.path_every * parts["path"]
        return total, parts

    def _path(self, batch: int, numbers: torch.Generator, device: torch.device) -> Tensor:
        """E(|J_w^T y| - a)², and a moved on."""
        gan = self.gan
        with in_float32(gan.G.input.input):
            codes = self.codes(batch, numbers)
            made = gan.G(codes, noise=draw_noise(gan.settings, batch, numbers, device))
            directions = torch.randn(made.shape, generator=numbers).to(device) / math.sqrt(
                made.shape[2] * made.shape[3]
            )
            lengths = path_lengths(made, codes, directions)
            mean = gan.path_mean.lerp(lengths.mean(), PATH_DECAY)
            gan.path_mean.copy_(mean.detach())
            return (lengths - mean).square().mean()

    @torch.no_grad()
    def preview(self, batch: Sequence[Portion], fade: float) -> np.ndarray:
        """A column of pictures, and columns of what the generator makes of draws that stay the same."""
        gan = self.gan
        pictures = torch.cat([portion.targets for portion in batch])[:6]
        numbers = torch.Generator().manual_seed(self.seed)
        z = torch.randn(5 * len(pictures), gan.settings.latent, generator=numbers).to(pictures.device)
        codes = gan.G.map(z)[:, None].expand(-1, gan.settings.layers, -1)
        made = (gan.G(codes) + 1) / 2
        columns = [pictures, *made.split(len(pictures))]
        grid = torch.cat([column.float() for column in columns], 3).permute(0, 2, 3, 1)
        return (grid.reshape(-1, *grid.shape[2:]).clamp(0, 1) * 255).round().byte().cpu().numpy()

    def checkpoint(self) -> tuple[Mapping[str, Tensor], Mapping[str, Any]]:
        """Generator, discriminator and mean code: what inversion starts from."""
        gan = self.gan
        mean = mean_latent(gan.G)[None].repeat(gan.settings.layers, 1)
        tensors = {f"{part}.{name}": x for part in ("G", "D") for name, x in getattr(gan, part).state_dict().items()}
        card = {"settings": asdict(gan.settings), "resolution": gan.settings.size, "stage": "generator"}
        return {**tensors, "latent_avg": mean}, card
