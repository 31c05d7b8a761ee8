"""Regional GAN inversion: encoder, regional MLPs and mask-guided generator together (paper 001, Fig. 3).

    (I, M) -> F_φ -> v (B, R, 1280) -> MLPs -> s (B, R, layers, latent), W^{r+} -> G_θ(s, M) -> Î

Inside the family pictures are (B, 3, s, s), RGB in [-1, 1], view colour space, and region maps (B, h, w) uint8 of any size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from understudy.families.regional_inversion.encoder import Encoder, RegionMlp
from understudy.families.regional_inversion.generator import Generator, draw_noise
from understudy.families.regional_inversion.layers import in_float32
from understudy.families.regional_inversion.places import RegionMaps
from understudy.families.regional_inversion.sean import Sean
from understudy.families.regional_inversion.settings import NUM_REGIONS, RegionalSettings


class RegionalInversion(nn.Module):
    """F_φ, the regions' MLPs, G_θ, and w̄, the mean code."""

    latent_avg: Tensor

    def __init__(self, settings: RegionalSettings) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = Encoder(settings)
        self.MLPs = nn.ModuleList(RegionMlp(self.encoder.length, settings) for _ in range(NUM_REGIONS))
        self.G = Generator(settings)
        self.register_buffer("latent_avg", torch.zeros(settings.layers, settings.latent))

    def vectors(self, pictures: Tensor, regions: RegionMaps) -> Tensor:
        """v: (B, R, length), each region's texture; zeros for a region that is not there."""
        return self.encoder(pictures, regions)

    def codes(self, vectors: Tensor) -> Tensor:
        """s: (B, R, layers, latent) from v. Layers from K on are the mean code, whatever the picture."""
        settings = self.settings
        learned = settings.learned_layers
        with in_float32(vectors):
            made = torch.stack([mlp(vectors[:, j].float()) for j, mlp in enumerate(self.MLPs)], 1)
        made = made.view(len(vectors), NUM_REGIONS, learned, settings.latent) + self.latent_avg[:learned]
        rest = self.latent_avg[learned:].expand(len(vectors), NUM_REGIONS, -1, -1)
        return torch.cat([made, rest], 2)

    def forward(
        self, pictures: Tensor, regions: RegionMaps, noise: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Î and s of pictures and their maps; ``noise`` as for :class:`Generator`."""
        codes = self.codes(self.vectors(pictures, regions))
        return self.G(codes, regions, noise), codes

    def tuned(self) -> list[nn.Parameter]:
        """The generator's parameters that inversion trains: those of the first K layers, the start, and nothing of the mapping
        network (section 5, "Pre-trained vs. fine-tuned")."""
        K = self.settings.regional_layers
        return [
            parameter
            for name, parameter in self.G.named_parameters()
            if name.startswith("input.") or 0 <= self.G.layer_of(name) < K
        ]

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """What learns, by the names that a recipe's rates go by."""
        tuned = self.tuned()
        known = {id(parameter) for parameter in [*tuned, *self.G.style.parameters()]}
        return {
            "encoder": list(self.encoder.parameters()),
            "codes": list(self.MLPs.parameters()),
            "generator": tuned,
            # The last layers, which every region shares. The mapping network has no work here.
            "generator_last": [parameter for parameter in self.G.parameters() if id(parameter) not in known],
        }

    def beyond_mean(self, codes: Tensor) -> Tensor:
        """The learned layers' codes less the mean code: (B, R, K, latent)."""
        learned = self.settings.learned_layers
        return codes[:, :, :learned] - self.latent_avg[:learned]

    def draw_noise(self, batch: int, numbers: torch.Generator, device: torch.device) -> list[Tensor]:
        """Noise for ``batch`` pictures, anew every time."""
        return draw_noise(self.settings, batch, numbers, device)


Inversion = RegionalInversion | Sean
"""What reads textures off faces and makes faces of them; both have the same methods."""


def inversion_of(settings: RegionalSettings) -> Inversion:
    """The settings' network, with weights of chance."""
    return Sean(settings) if settings.architecture == "sean" else RegionalInversion(settings)


@torch.no_grad()
def mean_latent(generator: Generator, *, count: int = 4096, seed: int = 0) -> Tensor:
    """w̄: (latent,), the mean of what the mapping network makes of ``count`` draws."""
    numbers = torch.Generator().manual_seed(seed)
    z = torch.randn(count, generator.settings.latent, generator=numbers)
    return generator.map(z.to(generator.input.input.device)).mean(0)
