"""The base model: a comb trained on many invented people giving the same performances.

A branch for everyone cannot be trained from nothing on a processor. In the base every identity shares one branch and owns a
small modulation of it: for each of the branch's convolutions a gain per input channel, a gain per output channel and a bias,

    W_p = (1 + out_p) W (1 + in_p),   b_p = b + bias_p,

so that an identity's modulated branch *is* an ordinary branch of Table 1's shape (:func:`materialise`), and a newcomer starts
from the one that fits it best. Because invented people can give exactly the same moment, the base is trained across
identities too: person q's picture in, person p's picture of that moment as the answer. That is what makes the latent
forget who is seen; no other data can teach it directly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.errors import CheckpointError
from understudy.families.comb.losses import LossSettings, reconstruction_loss
from understudy.families.comb.network import (
    Branch,
    CombNetwork,
    CombSettings,
    activate,
    level_size,
    trimmed,
)
from understudy.family import Phase

if TYPE_CHECKING:
    from understudy.dataset.batches import Portion

COMMON = "common"


class ModulatedLayer(nn.Module):
    """One modulation of one convolution for each of ``people``."""

    def __init__(self, people: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.gain_in = nn.Parameter(torch.zeros(people, inputs))
        self.gain_out = nn.Parameter(torch.zeros(people, outputs))
        self.bias = nn.Parameter(torch.zeros(people, outputs))

    def forward(self, x: Tensor, layer: nn.Conv2d, who: Tensor) -> Tensor:
        """(B, in, h, w) -> (B, out, h, w), sample i convolved as person ``who[i]``."""
        spread = lambda table: table[who][:, :, None, None]  # noqa: E731
        y = functional.conv2d(x * (1 + spread(self.gain_in)).to(x.dtype), layer.weight, None, padding=layer.padding)
        assert layer.bias is not None
        bias = layer.bias[None, :, None, None] + spread(self.bias)
        return y * (1 + spread(self.gain_out)).to(y.dtype) + bias.to(y.dtype)


class BaseNetwork(nn.Module):
    """A comb whose identities are modulations of one common branch."""

    def __init__(self, settings: CombSettings, people: Sequence[str], level: int | None = None) -> None:
        super().__init__()
        self.comb = CombNetwork(settings, [COMMON], level)
        self.people = list(people)
        branch = self.comb.branch(COMMON)
        self.modulations = nn.ModuleDict()
        for name, layer in branch_convolutions(branch):
            self.modulations[name] = ModulatedLayer(len(self.people), layer.in_channels, layer.out_channels)
        widths = settings.widths
        for level_ in range(len(widths)):
            self.modulations[f"to_rgb_{level_}"] = ModulatedLayer(len(self.people), widths[level_], 3)

    def decode(self, latents: Tensor, who: Tensor, fade: float = 1.0) -> Tensor:
        """(B, latent, 1, 1) -> (B, 3, s, s), sample i as person ``who[i]``."""
        comb = self.comb
        branch = comb.branch(COMMON)
        x = activate(comb.shared.from_latent(latents))
        before = x
        for level in range(comb.level + 1):
            if level > 0:
                before = x
                x = comb.double(x)
            if level <= comb.settings.split_level:
                x = comb.shared.levels[level](x)
            else:
                at = level - branch.first_level
                for index, layer in enumerate(branch.levels[at]):  # type: ignore[arg-type]
                    x = activate(self.modulations[f"levels_{at}_{index}"](x, layer, who))
        picture = self.to_rgb(x, branch, comb.level, who)
        if fade < 1.0 and comb.level > 0:
            old = self.to_rgb(before, branch, comb.level - 1, who)
            old = functional.interpolate(old, scale_factor=2, mode="bilinear", align_corners=False)
            picture = torch.lerp(old, picture, fade)
        return picture

    def to_rgb(self, x: Tensor, branch: Branch, level: int, who: Tensor) -> Tensor:
        return torch.sigmoid(self.modulations[f"to_rgb_{level}"](x, branch.to_rgb[str(level)], who))

    def forward(self, pictures: Tensor, who: Tensor, fade: float = 1.0) -> Tensor:
        return self.decode(self.comb.encode(pictures, fade), who, fade)


def branch_convolutions(branch: Branch) -> list[tuple[str, nn.Conv2d]]:
    """The branch's convolutions but to-RGB, each with its modulation's name."""
    return [
        (f"levels_{at}_{index}", layer)
        for at, level in enumerate(branch.levels)
        for index, layer in enumerate(level)  # type: ignore[arg-type]
    ]


@torch.no_grad()
def materialise(
    common: Mapping[str, Tensor], modulations: Mapping[str, Tensor], mixture: Tensor, level: int
) -> dict[str, Tensor]:
    """An ordinary branch's state from the common branch and a mixture of people.

    Args:
        common: the common branch's state: ``levels.<at>.<index>.weight``, ``to_rgb.<level>.weight`` and biases.
        modulations: ``<layer>.gain_in`` (people, in), ``.gain_out`` (people, out), ``.bias`` (people, out).
        mixture: (people,) weights that sum to 1; one 1 picks a single person.
        level: the finest level.
    """
    state = {}
    for name, weight in common.items():
        if not name.endswith(".weight"):
            continue
        stem = name.removesuffix(".weight")
        layer = stem.replace(".", "_")
        if stem.startswith("to_rgb") and stem != f"to_rgb.{level}":
            continue
        mixed = lambda slot, layer=layer: mixture.to(torch.float32) @ modulations[f"{layer}.{slot}"].float()  # noqa: E731
        gains = (1 + mixed("gain_out"))[:, None, None, None] * (1 + mixed("gain_in"))[None, :, None, None]
        state[name] = weight.float() * gains
        state[f"{stem}.bias"] = common[f"{stem}.bias"].float() + mixed("bias")
    return state


class BaseTrainable:
    """The base in training: ``Portion.identity`` is a person's name, inputs may show someone else giving the same moment."""

    def __init__(self, network: BaseNetwork, losses: LossSettings) -> None:
        self.network: nn.Module = network
        self.base = network
        self.losses = losses
        self.index = {name: at for at, name in enumerate(network.people)}

    def phases(self) -> Sequence[Phase]:
        return (Phase(name="reconstruct"),)

    def parameter_groups(self, phase: str) -> Mapping[str, Sequence[nn.Parameter]]:
        comb = self.base.comb
        return {
            "encoder": list(comb.encoder.parameters()),
            "shared": list(comb.shared.parameters()),
            "branches": list(comb.branches.parameters()),
            "modulations": list(self.base.modulations.parameters()),
        }

    def set_resolution(self, resolution: int) -> bool:
        level = (resolution // 4).bit_length() - 1
        self.base.comb.grow_to(level)
        return True

    def who(self, batch: Sequence[Portion]) -> Tensor:
        return torch.tensor([self.index[p.identity] for p in batch for _ in range(len(p.inputs))])

    def loss(self, phase: str, batch: Sequence[Portion], fade: float) -> tuple[Tensor, Mapping[str, Tensor]]:
        inputs = torch.cat([p.inputs for p in batch])
        outputs = self.network(inputs, self.who(batch).to(inputs.device), fade)
        return reconstruction_loss(
            outputs, torch.cat([p.targets for p in batch]), torch.cat([p.weights for p in batch]), self.losses
        )

    @torch.no_grad()
    def preview(self, batch: Sequence[Portion], fade: float) -> np.ndarray:
        """Columns: shown, answer wanted, answer given."""
        inputs = torch.cat([p.inputs for p in batch])
        targets = torch.cat([p.targets for p in batch])
        outputs = self.network(inputs, self.who(batch).to(inputs.device), fade).float()
        triples = torch.cat([inputs, targets, outputs], 3).permute(0, 2, 3, 1).cpu()
        half = (len(triples) + 1) // 2
        left, right = triples[:half], triples[half:]
        if len(right) < half:
            right = torch.cat([right, torch.zeros_like(left[: half - len(right)])])
        grid = torch.cat([left, right], 2)
        return (grid.reshape(-1, *grid.shape[2:]).clamp(0, 1) * 255).round().byte().numpy()

    def checkpoint(self) -> tuple[Mapping[str, Tensor], Mapping[str, Any]]:
        comb = self.base.comb
        branch = comb.branch(COMMON)
        tensors = {f"encoder.{k}": v for k, v in comb.encoder.state_dict().items()}
        tensors |= {f"shared.{k}": v for k, v in comb.shared.state_dict().items()}
        tensors |= {f"common.{k}": v for k, v in branch.state_dict().items()}
        # RGB layers of the level below only serve the fade.
        tensors = {k: v for k, v in tensors.items() if not _is_rgb(k) or f"_rgb.{comb.level}." in k}
        kept = {f"to_rgb_{comb.level}"} | {name for name, _ in branch_convolutions(branch)}
        tensors |= {
            f"modulations.{k}": v for k, v in self.base.modulations.state_dict().items() if k.split(".")[0] in kept
        }
        card = {
            "settings": asdict(comb.settings),
            "people": list(self.base.people),
            "resolution": level_size(comb.level),
            "base": True,
        }
        # Half the bytes; the first steps of any training move weights further than this rounding does.
        return {k: v.to(torch.bfloat16) for k, v in tensors.items()}, card


def _is_rgb(name: str) -> bool:
    return ".from_rgb." in name or ".to_rgb." in name


class Base:
    """A base model's weights, ready to start a comb from."""

    def __init__(self, tensors: Mapping[str, Tensor], network: Mapping[str, Any]) -> None:
        if not network.get("base"):
            raise CheckpointError(
                "the weights to start from are no base model; use --from with a base or leave it out."
            )
        self.network = network
        part = lambda prefix: {k[len(prefix) :]: v.float() for k, v in tensors.items() if k.startswith(prefix)}  # noqa: E731
        self.encoder, self.shared = part("encoder."), part("shared.")
        self.common, self.modulations = part("common."), part("modulations.")
        self.people: list[str] = list(network["people"])
        settings = {**network["settings"], "widths": tuple(network["settings"]["widths"])}
        self.settings = CombSettings(**settings)

    def new_comb(self, identities: Sequence[str], settings: CombSettings | None = None) -> CombNetwork:
        """A comb at the base's level with its encoder and shared levels, and branches in the middle of all people.

        Args:
            settings: of a network that goes on above the base (:meth:`reaches`); None is the base's own shape.
        """
        comb = CombNetwork(settings or self.settings, identities, self.settings.top_level)
        comb.finish_level()
        comb.encoder.load_state_dict(self.encoder)
        comb.shared.load_state_dict(self.shared)
        for identity in identities:
            self.set_branch(comb, identity, torch.full((len(self.people),), 1 / len(self.people)))
        return comb

    def reaches(self, settings: CombSettings) -> bool:
        """Whether a network of these settings is the base's, perhaps with finer decoder levels on top."""
        top = self.settings.top_level
        higher = settings.top_level > top and settings.input_level == top
        return (higher or settings.top_level == top) and trimmed(settings, top) == self.settings

    def set_branch(self, comb: CombNetwork, identity: str, mixture: Tensor) -> None:
        """Start ``identity``'s branch from a mixture of the base's people; finer levels stay as they are."""
        branch = comb.branch(identity)
        state = materialise(self.common, self.modulations, mixture, comb.level)
        branch.load_state_dict(branch.state_dict() | state)

    @torch.no_grad()
    def fit_branch(self, comb: CombNetwork, identity: str, pictures: Tensor, weights: Tensor) -> list[str]:
        """Start ``identity``'s branch from the people who already look most like its pictures.

        Every person of the base is tried on the pictures; the branch starts from the best one.

        Args:
            pictures: (B, 3, s, s) in [0, 1] of the identity.
            weights: (B, 1, s, s).

        Returns:
            The people by likeness, the best first.
        """
        latents = comb.encode(pictures)
        losses = []
        for at in range(len(self.people)):
            mixture = torch.zeros(len(self.people))
            mixture[at] = 1
            self.set_branch(comb, identity, mixture)
            output = comb.decode(latents, identity)
            losses.append(float(reconstruction_loss(output, pictures, weights, LossSettings())[0]))
        order = np.argsort(losses)
        mixture = torch.zeros(len(self.people))
        mixture[int(order[0])] = 1
        self.set_branch(comb, identity, mixture)
        return [self.people[int(at)] for at in order]
