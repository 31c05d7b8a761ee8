"""The AF-VAE network: appearance and structure encoders, the decoder, the memory and its prior (paper 002, sections 3.1 to 3.3).

With widths w_1 .. w_n, K boundary channels and latent size L (paper preset: 256², 7 levels, 512 at the last, L = 256):

    appearance  φ_app(x, c) -> z    n x [4x4 s2 LeakyReLU(0.2)] on x ⊕ c, linear -> µ_φ, log σ²_φ
    structure   E_µ(c) -> y         the same ladder on c; its answers are the decoder's skips, the last of them is y
    decoder     D_φ([z, y])         linear z -> w_n at y's size; a level: ⊕ skip, 3x3 LeakyReLU, up x2 LeakyReLU;
                                    at the full size: ⊕ c, 3x3 LeakyReLU, 3x3 -> 3, tanh

"Up" is a 3x3 convolution to four times the channels and a pixel shuffle, or a 4x4 transposed convolution. Skips come from the
structure encoder alone. Every layer is weight-normalised. Each of these can be switched off. With ``motion`` (ours, see the
family's page) the decoder also answers with a motion field and a mask. Pictures are (B, 3, s, s) RGB in [-1, 1].
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from understudy.errors import OptionError
from understudy.faces.boundary import BoundaryTopology, load_topology, topology_of
from understudy.families.boundary_vae.memory import WEIGHTINGS, Memory
from understudy.families.boundary_vae.motion import carried, coarse_motion, motion_grid

SLOPE = 0.2
LOG_RANGE = 10.0
"""Largest absolute log variance of the posterior; beyond it exp() does harm and no good."""
QUIET = 0.05
"""Share of its usual size with which a motion network's change and correction start."""
VISIBLE, SUREST = 1.0, 4.0
"""Logit of the mask with which a motion network starts, and the largest: a mask that is quite sure learns nothing any more."""

PAINTS = ("everywhere", "mouth")


@dataclass(frozen=True, kw_only=True)
class BoundarySettings:
    """Shape of a network. The defaults are the paper's where it says something, else the choices on the family's page."""

    topology: BoundaryTopology
    size: int = 256
    """Side of the pictures, pixels."""
    widths: tuple[int, ...] = (64, 128, 256, 512, 512, 512, 512)
    """Channels after each halving."""
    top_width: int = 32
    """Channels of the decoder at the full size."""
    latent: int = 256
    """L: length of z."""
    sigma: float = 1.0
    """Softness of the boundary maps' lines, pixels."""
    clusters: int = 8
    """K of section 4: focal points in the memory."""
    memory_size: int = 32
    """Side of the summed maps that are clustered and compared."""
    weighting: str = "cosine"
    """How similarity to the focal points becomes weights: ``cosine`` as in the paper, or ``centred`` (see ``memory``)."""
    temperature: float = 0.1
    """Of the softmax in ``centred``."""
    focal_deviation: float = 1.0
    """σ_k."""
    learned_prior: bool = False
    """µ_k and σ_k are trained; otherwise they stay as they were drawn."""
    gmm: bool = True
    """The additive mixture prior (eq. 4); without it N(0, I)."""
    pixel_shuffle: bool = True
    """Sub-pixel convolution in every upsampling layer; without it transposed convolution."""
    weight_norm: bool = True
    """Weight normalisation of every layer; without it none at all."""
    motion: bool = False
    """Ours: the still itself is moved, and the decoder paints where it must."""
    paints: str = "everywhere"
    """At work, where a network with motion adds to the moved still: ``everywhere``, or between parted lips
    alone (``mouth``). Elsewhere it mostly paints the light, and in eyes the colours, of the pictures that it learned from."""
    oval_share: float = 0.5
    """Height of a neutral face as share of the side."""

    def __post_init__(self) -> None:
        smallest = 1 << len(self.widths)
        if not self.widths or min(*self.widths, self.top_width, self.latent) < 1:
            raise OptionError(
                f"boundary_vae: widths {self.widths}, top_width {self.top_width} and latent {self.latent} must be positive."
            )
        if self.size < smallest or self.size % smallest or self.size % self.memory_size:
            raise OptionError(
                f"boundary_vae: size {self.size} must be a multiple of {smallest} (halved {len(self.widths)} times) and of the "
                f"memory's {self.memory_size}."
            )
        if self.weighting not in WEIGHTINGS:
            raise OptionError(f"boundary_vae: weighting {self.weighting!r}; choose {' or '.join(WEIGHTINGS)}.")
        if self.paints not in PAINTS:
            raise OptionError(f"boundary_vae: paints {self.paints!r}; choose {' or '.join(PAINTS)}.")
        wrong = [
            f"{name} {getattr(self, name)}"
            for name in ("sigma", "clusters", "memory_size", "temperature", "focal_deviation")
            if not getattr(self, name) > 0
        ]
        if wrong or not 0 < self.oval_share < 1:
            raise OptionError(f"boundary_vae: {', '.join(wrong) or f'oval_share {self.oval_share}'} cannot be.")

    @property
    def curves(self) -> int:
        """K boundary channels."""
        return len(self.topology.curves)

    def as_record(self) -> dict[str, Any]:
        """What :func:`settings_of` reads, for a card: the topology is written out."""
        return {**asdict(self), "widths": list(self.widths), "topology": self.topology.as_record()}


def settings_of(network: Mapping[str, Any]) -> BoundarySettings:
    """Network settings from a recipe, where the topology may be a name or a file, or from a card.

    Raises:
        OptionError: a setting is not known or out of its range.
    """
    topology = network.get("topology", "face15")
    topology = topology_of(topology) if isinstance(topology, Mapping) else load_topology(topology)
    known = {field.name for field in fields(BoundarySettings)}
    if strange := sorted(set(network) - known):
        raise OptionError(f"boundary_vae: {strange[0]} is none of this family's network settings; use a preset.")
    values = {name: value for name, value in network.items() if name not in ("topology", "widths")}
    if "widths" in network:
        values["widths"] = tuple(int(width) for width in network["widths"])
    return BoundarySettings(topology=topology, **values)


@dataclass(frozen=True, kw_only=True)
class Structure:
    """What the structure encoder says of boundary maps."""

    lines: Tensor
    """c: (B, K, s, s) boundary maps of the target."""
    features: tuple[Tensor, ...]
    """Answers of the ladder, (B, w_1, s/2, s/2) and so on; the last is y."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a network makes of a still and a target."""

    picture: Tensor
    """x̂: (B, 3, s, s) in [-1, 1]."""
    painted: Tensor
    """(B, 3, s, s): the decoder's own picture, without motion the same as ``picture``; with it the moved still and a change."""
    motion: Tensor | None = None
    """(B, 2, s, s) float32, x then y, in sides of the picture: the answer at p fetches from p + motion(p)."""
    mask: Tensor | None = None
    """(B, 1, s, s) in [0, 1]: share of the moved still; the rest is ``painted``."""
    added: Tensor | None = None
    """(B, 3, s, s): ``picture`` less the moved still."""
    correction: Tensor | None = None
    """(B, 2, s/2, s/2): what the network adds to the motion of the points."""


class Ladder(nn.Module):
    """Halvings with a 4x4 convolution each; answers of all levels."""

    def __init__(self, inputs: int, settings: BoundarySettings) -> None:
        super().__init__()
        widths = (inputs, *settings.widths)
        self.levels = nn.ModuleList(
            _normalised(nn.Conv2d(before, after, 4, stride=2, padding=1), settings)
            for before, after in zip(widths[:-1], widths[1:], strict=True)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        answers = []
        for level in self.levels:
            x = functional.leaky_relu(level(x), SLOPE)
            answers.append(x)
        return tuple(answers)


class Appearance(nn.Module):
    """φ_app: a picture and its own boundary maps to the posterior of z."""

    def __init__(self, settings: BoundarySettings) -> None:
        super().__init__()
        bottom = settings.size >> len(settings.widths)
        self.ladder = Ladder(3 + settings.curves, settings)
        self.posterior = _normalised(nn.Linear(settings.widths[-1] * bottom**2, 2 * settings.latent), settings)

    def forward(self, pictures: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
        """µ_φ and log σ²_φ, (B, L) float32 each."""
        last = self.ladder(torch.cat([pictures, maps], 1))[-1]
        mean, log_variance = self.posterior(last.flatten(1)).float().chunk(2, 1)
        return mean, log_variance.clamp(-LOG_RANGE, LOG_RANGE)


class Up(nn.Module):
    """Twice the size: a sub-pixel convolution, or a transposed one."""

    def __init__(self, inputs: int, outputs: int, settings: BoundarySettings) -> None:
        super().__init__()
        if settings.pixel_shuffle:
            layer = nn.Conv2d(inputs, 4 * outputs, 3, padding=1)
            _initialise(layer)
            # The four sub-pixels begin alike (ICNR), so that nothing is checkered before anything is learned.
            with torch.no_grad():
                layer.weight.copy_(layer.weight[::4].repeat_interleave(4, 0))
            self.layer = _normalised(layer, settings, initialise=False)
            self.shuffle: nn.Module = nn.PixelShuffle(2)
        else:
            self.layer = _normalised(nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1), settings)
            self.shuffle = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.shuffle(self.layer(x))


class Decoder(nn.Module):
    """D_φ: z and the structure to a picture."""

    def __init__(self, settings: BoundarySettings) -> None:
        super().__init__()
        self.settings = settings
        widths, extra = settings.widths, 3 if settings.motion else 0
        self.bottom = settings.size >> len(widths)
        self.appearance = _normalised(nn.Linear(settings.latent, widths[-1] * self.bottom**2), settings)
        outputs = (settings.top_width, *widths[:-1])
        self.mixes, self.ups = nn.ModuleList(), nn.ModuleList()
        for level, width in enumerate(widths):
            # A level takes what came from below (at the bottom z's part), its skip, and with motion the moved still.
            self.mixes.append(_normalised(nn.Conv2d(2 * width + extra, width, 3, padding=1), settings))
            self.ups.append(Up(width, outputs[level], settings))
        top = settings.top_width
        self.top = _normalised(nn.Conv2d(top + settings.curves + extra, top, 3, padding=1), settings)
        self.paint = _normalised(nn.Conv2d(top, 4 if settings.motion else 3, 3, padding=1), settings)
        if settings.motion:
            self.correct = _normalised(nn.Conv2d(widths[0], 2, 3, padding=1), settings)
            _hush(self.correct)
            _hush(self.paint)
            with torch.no_grad():
                self.paint.bias[3] = VISIBLE  # type: ignore[index]

    def forward(
        self, z: Tensor, structure: Structure, pictures: Tensor | None = None, motion: Tensor | None = None
    ) -> Answer:
        """
        Args:
            z: (B, L).
            structure: of the target (with motion, and of the still).
            pictures: (B, 3, s, s) the still; with motion only.
            motion: (B, 2, s/2, s/2) by which its points move.
        """
        settings = self.settings
        x = functional.leaky_relu(self.appearance(z), SLOPE).unflatten(
            1, (settings.widths[-1], self.bottom, self.bottom)
        )
        moved = None if motion is None or pictures is None else carried(pictures, motion)
        correction = None
        for level in reversed(range(len(settings.widths))):
            parts = [x, structure.features[level]]
            if moved is not None:
                parts.append(functional.adaptive_avg_pool2d(moved, settings.size >> (level + 1)))
            x = functional.leaky_relu(self.mixes[level](torch.cat([part.to(x.dtype) for part in parts], 1)), SLOPE)
            if level == 0 and settings.motion:
                # A 32nd of the side for an answer of 1: corrections are small.
                correction = self.correct(x).float() / 32
            x = functional.leaky_relu(self.ups[level](x), SLOPE)
        if moved is None or motion is None or correction is None or pictures is None:
            painted = self._painted(x, [structure.lines]).tanh()
            return Answer(picture=painted, painted=painted)
        whole = functional.interpolate(
            motion + correction, size=(settings.size,) * 2, mode="bilinear", align_corners=False
        )
        moved = carried(pictures, whole)
        made = self._painted(x, [structure.lines, moved])
        change, mask = 2 * made[:, :3].tanh(), (SUREST * (made[:, 3:] / SUREST).tanh()).sigmoid()
        added = (1 - mask) * change
        return Answer(
            picture=moved + added,
            painted=moved + change,
            motion=whole,
            mask=mask,
            added=added,
            correction=correction,
        )

    def _painted(self, x: Tensor, more: Sequence[Tensor]) -> Tensor:
        x = self.top(torch.cat([x, *(part.to(x.dtype) for part in more)], 1))
        return self.paint(functional.leaky_relu(x, SLOPE)).float()


class BoundaryNetwork(nn.Module):
    """Everything that trains, and the memory that does not."""

    draws: Tensor

    def __init__(self, settings: BoundarySettings) -> None:
        super().__init__()
        self.settings = settings
        self.appearance = Appearance(settings)
        self.structure_encoder = Ladder(settings.curves * (2 if settings.motion else 1), settings)
        self.decoder = Decoder(settings)
        self.memory = Memory(
            settings.clusters,
            settings.memory_size,
            settings.latent,
            weighting=settings.weighting,
            temperature=settings.temperature,
            deviation=settings.focal_deviation,
            learned=settings.learned_prior,
        )
        # How many losses were drawn so far: kept with the weights, so that a stopped training goes on with the same numbers.
        self.register_buffer("draws", torch.zeros((), dtype=torch.int64))

    def prior(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """p(z|y) of eq. 4 for (B, K, s, s) maps, or N(0, I): means (B, L) and variances (B,)."""
        if self.settings.gmm:
            return self.memory.prior(self.memory.weights(maps))
        return maps.new_zeros(len(maps), self.settings.latent), maps.new_ones(len(maps))

    def structure(self, maps: Tensor, still_maps: Tensor | None = None) -> Structure:
        """E_µ of (B, K, s, s) maps of the target; with motion of the still's too."""
        seen = maps
        if self.settings.motion:
            seen = torch.cat([maps, maps if still_maps is None else still_maps], 1)
        return Structure(lines=maps, features=self.structure_encoder(seen))

    def decode(
        self,
        z: Tensor,
        structure: Structure,
        pictures: Tensor | None = None,
        still_points: Tensor | None = None,
        points: Tensor | None = None,
    ) -> Answer:
        """x̂ of z and the structure; with motion also of the still and where its (B, N, 2) points, in the unit square, go."""
        if not self.settings.motion:
            return self.decoder(z, structure)
        if pictures is None or still_points is None or points is None:
            raise OptionError("boundary_vae: a network with motion decodes with a still and its points.")
        moves = coarse_motion(still_points, points, motion_grid(self.settings.size))
        return self.decoder(z, structure, pictures, moves)


def _normalised(layer: nn.Module, settings: BoundarySettings, *, initialise: bool = True) -> nn.Module:
    """The layer with He's start and, unless switched off, weight normalisation over each output's weights."""
    if initialise:
        _initialise(layer)
    if not settings.weight_norm:
        return layer
    return weight_norm(layer, dim=1 if isinstance(layer, nn.ConvTranspose2d) else 0)


def _initialise(layer: nn.Module) -> None:
    assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
    fan = layer.weight[0].numel()
    if isinstance(layer, nn.ConvTranspose2d):
        # Of the 4x4 taps, a result with stride 2 meets 2x2.
        fan = layer.in_channels * 4
    nn.init.normal_(layer.weight, std=math.sqrt(2 / (1 + SLOPE**2) / fan))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _hush(layer: nn.Module) -> None:
    """Answers begin near the bias. Not at it: of a normalised weight without length, nothing but the length could learn."""
    lengths = getattr(getattr(layer, "parametrizations", None), "weight", None)
    with torch.no_grad():
        (layer.weight if lengths is None else lengths.original0).mul_(QUIET)  # type: ignore[union-attr, operator]
