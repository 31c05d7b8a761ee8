"""The comb network: one encoder, one decoder per identity, the first levels of all decoders shared (paper 000, Table 1).

Level k works at 4·2^k pixels. With widths w[0..L] (channels at each level), k >= 1:

    encoder level k   3x3 w[k]->w[k], 3x3 w[k]->w[k-1], halve          (from-RGB: 1x1 3->w[L] at the finest level)
    encoder level 0   3x3 w[0]->w[0], 4x4 valid w[0]->latent           (4x4 pixels to 1x1)
    decoder level 0   4x4 full latent->w[0], 3x3 w[0]->w[0]
    decoder level k   double, 3x3 w[k-1]->w[k], 3x3 w[k]->w[k]         (to-RGB: 1x1 w[L]->3, sigmoid)

LeakyReLU(0.2) follows every convolution but to-RGB. Decoder levels 0..split_level are shared by all identities, the finer
ones and to-RGB are one branch per identity. Pictures are (B, 3, r, r), RGB in [0, 1], view colour space.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.errors import OptionError

SLOPE = 0.2  # Table 1's caption: "for the leaky rectified unit we use alpha = 0.2"

TABLE_1_WIDTHS = (512, 512, 512, 512, 256, 128, 64, 32, 16)


@dataclass(frozen=True, kw_only=True)
class CombSettings:
    """Shape of a comb network.

    The defaults are the paper's Table 1 at 1024².
    """

    widths: tuple[int, ...] = TABLE_1_WIDTHS
    """Channels at each level, coarsest (4²) first; its length sets the resolution: 4·2^(len-1) pixels."""
    latent: int = 512
    """Length of the latent vector."""
    depth: int = 2
    """3x3 convolutions in each level >= 1 (the paper's is 2); the last one of an encoder level changes the width."""
    split_level: int = 1
    """Last decoder level that all identities share; -1 splits right after the latent. The text says 1, Fig. 12's caption 2."""
    down: Literal["average", "max"] = "average"
    """How encoder levels halve. The paper names no operator."""
    up: Literal["bilinear", "nearest"] = "bilinear"
    """How decoder levels double (align_corners=False). The paper names no operator."""
    input_level: int | None = None
    """Finest level of the encoder; pictures above are averaged down to it. None: the decoders' own, as in the paper. What a
    performance is shows in few pixels, and a person's detail needs many."""
    residual: bool = False
    """Decoder levels above ``input_level`` add their to-RGB, at first nothing, to that of the level below, so that a
    new level starts from a finished picture instead of fading in (Karras et al. 2020's skips)."""

    def __post_init__(self) -> None:
        if not self.widths or min(self.widths) < 1 or self.latent < 1 or self.depth < 1:
            raise OptionError(
                f"comb: widths {self.widths}, latent {self.latent} and depth {self.depth} must all be positive."
            )
        if self.input_level is not None and not 0 <= self.input_level <= self.top_level:
            raise OptionError(f"comb: input_level {self.input_level} is outside 0..{self.top_level}.")
        if self.residual and self.input_level is None:
            raise OptionError("comb: residual needs an input_level, above which levels add to the one below.")
        if not -1 <= self.split_level <= self.top_level:
            raise OptionError(
                f"comb: split_level {self.split_level} is outside -1..{self.top_level} for this resolution."
            )

    @property
    def top_level(self) -> int:
        return len(self.widths) - 1

    @property
    def resolution(self) -> int:
        """Side of the finest pictures, in pixels."""
        return 4 << self.top_level


def trimmed(settings: CombSettings, level: int) -> CombSettings:
    """The settings of the network that ends at ``level``."""
    shortened = settings.input_level is not None and settings.input_level < level
    return replace(
        settings,
        widths=settings.widths[: level + 1],
        split_level=min(settings.split_level, level),
        input_level=settings.input_level if shortened else None,
        residual=settings.residual and shortened,
    )


def level_size(level: int) -> int:
    """Side in pixels of the pictures at ``level``."""
    return 4 << level


def convolution(inputs: int, outputs: int, kernel: int = 3, padding: int = 1) -> nn.Conv2d:
    """A convolution with bias, He-initialised for LeakyReLU(0.2)."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=padding)
    nn.init.kaiming_normal_(layer.weight, a=SLOPE, nonlinearity="leaky_relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def activate(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, SLOPE)


class Convolutions(nn.Sequential):
    """3x3 convolutions, each followed by LeakyReLU."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__(*(convolution(a, b) for a, b in zip(channels[:-1], channels[1:], strict=True)))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self:
            x = activate(layer(x))
        return x


class Encoder(nn.Module):
    """Pictures to latent vectors (Table 1, left)."""

    def __init__(self, settings: CombSettings) -> None:
        super().__init__()
        self.settings = settings
        widths, depth = settings.widths, settings.depth
        if settings.input_level is not None:
            widths = widths[: settings.input_level + 1]
        self.from_rgb = nn.ModuleDict()
        self.levels = nn.ModuleList([Convolutions([widths[0], widths[0]])])
        for level in range(1, len(widths)):
            self.levels.append(Convolutions([widths[level]] * depth + [widths[level - 1]]))
        self.to_latent = convolution(widths[0], settings.latent, kernel=4, padding=0)

    def halve(self, x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, 2) if self.settings.down == "average" else functional.max_pool2d(x, 2)

    def forward(self, pictures: Tensor, level: int, fade: float = 1.0) -> Tensor:
        """(B, 3, s, s) with s = 4·2^level -> (B, latent, 1, 1); ``fade`` is the gain alpha of Fig. 13."""
        x = activate(self.from_rgb[str(level)](pictures))
        if level > 0:
            x = self.halve(self.levels[level](x))
            if fade < 1.0:
                old = activate(self.from_rgb[str(level - 1)](functional.avg_pool2d(pictures, 2)))
                x = torch.lerp(old, x, fade)
        for lower in range(level - 1, 0, -1):
            x = self.halve(self.levels[lower](x))
        x = self.levels[0](x)
        return activate(self.to_latent(x))


class SharedLevels(nn.Module):
    """Decoder levels that every identity uses."""

    def __init__(self, settings: CombSettings) -> None:
        super().__init__()
        widths, depth = settings.widths, settings.depth
        self.from_latent = nn.ConvTranspose2d(settings.latent, widths[0], 4)
        # Each output pixel of this 4x4 "full" convolution sees one tap of every latent channel.
        nn.init.normal_(self.from_latent.weight, std=math.sqrt(2.0 / ((1 + SLOPE**2) * settings.latent)))
        nn.init.zeros_(self.from_latent.bias)  # type: ignore[arg-type]
        self.levels = nn.ModuleList()
        for level in range(settings.split_level + 1):
            self.levels.append(decoder_level(widths, level, depth))


def decoder_level(widths: Sequence[int], level: int, depth: int) -> Convolutions:
    return Convolutions([widths[0]] * 2 if level == 0 else [widths[level - 1]] + [widths[level]] * depth)


class Branch(nn.Module):
    """The decoder levels of one identity, and its to-RGB layers."""

    def __init__(self, settings: CombSettings) -> None:
        super().__init__()
        self.first_level = settings.split_level + 1
        self.levels = nn.ModuleList(
            decoder_level(settings.widths, level, settings.depth)
            for level in range(self.first_level, len(settings.widths))
        )
        self.to_rgb = nn.ModuleDict()


class CombNetwork(nn.Module):
    """Shared encoder, shared levels, one branch per identity.

    The network holds from-RGB and to-RGB layers only for the levels it is told to (``grow_to``): a level's own layers are
    made when it begins to train and thrown away when it is done, as the paper describes.
    """

    def __init__(self, settings: CombSettings, identities: Sequence[str], level: int | None = None) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = Encoder(settings)
        self.shared = SharedLevels(settings)
        self.branches = nn.ModuleDict({self.key(name): Branch(settings) for name in identities})
        self.identities = list(identities)
        self.level = -1
        self.grow_to(settings.top_level if level is None else level)

    @staticmethod
    def key(identity: str) -> str:
        """Module names may not hold a dot; the identity's own name stays in ``identities``."""
        return "id_" + identity.replace(".", "%2E")

    def branch(self, identity: str) -> Branch:
        try:
            return self.branches[self.key(identity)]  # type: ignore[return-value]
        except KeyError:
            raise OptionError(
                f"--identity {identity}: this model knows {', '.join(self.identities)}; choose one of these."
            ) from None

    def add_identity(self, identity: str, like: str | None = None) -> None:
        """Add a branch; ``like`` names the identity whose weights it starts from."""
        branch = Branch(self.settings)
        for level in self.rgb_levels():
            branch.to_rgb[str(level)] = self._to_rgb(level)
        if like is not None:
            branch.load_state_dict(self.branch(like).state_dict())
        self.branches[self.key(identity)] = branch
        if identity not in self.identities:
            self.identities.append(identity)

    def remove_identity(self, identity: str) -> None:
        del self.branches[self.key(identity)]
        self.identities.remove(identity)

    def rgb_levels(self) -> list[int]:
        """Levels that have to-RGB layers now."""
        branches = [self.branch(name) for name in self.identities]
        return sorted({int(level) for branch in branches for level in branch.to_rgb} or {self.level})

    def _from_rgb(self, level: int) -> nn.Conv2d:
        return convolution(3, self.settings.widths[level], kernel=1, padding=0)

    def _to_rgb(self, level: int) -> nn.Conv2d:
        layer = nn.Conv2d(self.settings.widths[level], 3, 1)
        adds = self.settings.residual and level > self.input_level(level)
        nn.init.normal_(layer.weight, std=0.0 if adds else 0.5 / math.sqrt(self.settings.widths[level]))
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        return layer

    def grow_to(self, level: int) -> None:
        """Make ``level`` the finest. Its RGB layers are made; only those of the level below stay, for the fade."""
        if not 0 <= level <= self.settings.top_level:
            raise OptionError(f"comb: level {level} is outside 0..{self.settings.top_level}.")
        sites = [(self.encoder.from_rgb, self._from_rgb, {self.input_level(level)})]
        sites += [(self.branch(name).to_rgb, self._to_rgb, self.picture_levels(level)) for name in self.identities]
        # Levels that are still shared have one to-RGB per identity too: even at 4x4 every identity has its own colours.
        for layers, make, needed in sites:
            for name in [n for n in layers if int(n) not in needed | {max(needed) - 1}]:
                del layers[name]
            for missing in sorted(needed - {int(n) for n in layers}):
                layers[str(missing)] = make(missing)
        self.level = level

    def picture_levels(self, level: int | None = None) -> set[int]:
        """Levels whose to-RGB make the picture where the finest is ``level``, by default the present one."""
        level = self.level if level is None else level
        return set(range(self.input_level(level), level + 1)) if self.settings.residual else {level}

    def input_level(self, level: int | None = None) -> int:
        """The encoder's finest level where the decoders' is ``level``, by default the present one."""
        level = self.level if level is None else level
        limit = self.settings.input_level
        return level if limit is None else min(level, limit)

    def finish_level(self) -> None:
        """Throw away the RGB layers of the level below."""
        sites = [(self.encoder.from_rgb, {self.input_level()})]
        sites += [(self.branch(name).to_rgb, self.picture_levels()) for name in self.identities]
        for layers, needed in sites:
            for name in [n for n in layers if int(n) not in needed]:
                del layers[name]

    def encode(self, pictures: Tensor, fade: float = 1.0) -> Tensor:
        """(B, 3, s, s) -> (B, latent, 1, 1), s the present level's size."""
        level = self.input_level()
        if level < self.level:
            # The encoder's levels are all at work already: nothing of it fades.
            return self.encoder(functional.avg_pool2d(pictures, 1 << (self.level - level)), level)
        return self.encoder(pictures, level, fade)

    def double(self, x: Tensor) -> Tensor:
        if self.settings.up == "nearest":
            return functional.interpolate(x, scale_factor=2, mode="nearest")
        return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

    def decode(self, latents: Tensor, identity: str, fade: float = 1.0) -> Tensor:
        """(B, latent, 1, 1) -> (B, 3, s, s) in [0, 1], decoded as ``identity``."""
        branch = self.branch(identity)
        x = activate(self.shared.from_latent(latents))
        before = x
        adding = self.picture_levels() - {self.level}
        coarser: Tensor | None = None
        for level in range(self.level + 1):
            if level > 0:
                before = x
                x = self.double(x)
            convolutions = (
                self.shared.levels[level]
                if level <= self.settings.split_level
                else branch.levels[level - branch.first_level]
            )
            x = convolutions(x)
            if level in adding:
                coarser = self._added(branch.to_rgb[str(level)](x), coarser)
        picture = torch.sigmoid(self._added(branch.to_rgb[str(self.level)](x), coarser))
        if fade < 1.0 and self.level > 0 and not adding:
            old = torch.sigmoid(branch.to_rgb[str(self.level - 1)](before))
            old = functional.interpolate(old, scale_factor=2, mode="bilinear", align_corners=False)
            picture = torch.lerp(old, picture, fade)
        return picture

    def _added(self, finer: Tensor, coarser: Tensor | None) -> Tensor:
        return finer if coarser is None else finer + self.double(coarser)

    def forward(self, pictures: Sequence[Tensor], identities: Sequence[str], fade: float = 1.0) -> list[Tensor]:
        """Each (B, 3, s, s) of ``pictures`` as the identity beside it; one pass of the encoder serves all."""
        latents = self.encode(torch.cat(list(pictures)), fade).split([len(p) for p in pictures])
        return [self.decode(latent, identity, fade) for latent, identity in zip(latents, identities, strict=True)]
