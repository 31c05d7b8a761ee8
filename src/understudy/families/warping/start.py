"""How a warping network's training begins: from nothing, from the packaged weights, or from an earlier run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from understudy.checkpoint import load_checkpoint
from understudy.errors import CheckpointError, OptionError
from understudy.families.warping.losses import LossSettings
from understudy.families.warping.network import Generator, WarpingNetwork, WarpingSettings
from understudy.families.warping.phases import WarpingTrainable
from understudy.family import Recipe

PACKAGED = Path(__file__).with_name("warping_128.safetensors")
KEPT = ("width", "coefficient", "expressions", "unit_scale", "refine_halvings", "quick_start", "modulated", "size")
"""Settings that a generator's weights mean nothing without."""


def settings_of(network: Mapping[str, Any]) -> WarpingSettings:
    """Network settings from a recipe or a card, where lists stand for tuples.

    Raises:
        OptionError: a setting is not known or out of its range.
    """
    try:
        return WarpingSettings(**{**network, "expressions": tuple(network.get("expressions", ()))})
    except TypeError as error:
        raise OptionError(
            f"warping: the network's settings {dict(network)} are not this family's ({error}); use a preset."
        ) from None


def load_generator(path: Path | str) -> Generator:
    """The generator of a checkpoint, with its weights.

    Raises:
        CheckpointError: not a warping network's weights.
    """
    tensors, card = load_checkpoint(path, family="warping")
    generator = Generator(settings_of(card.network["settings"]))
    try:
        generator.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not hold the network its card describes: {error}") from error
    return generator


def _taken_over(earlier: Generator, fresh: Generator) -> dict[str, Tensor]:
    """The earlier weights as a network with the fresh one's settings goes on from them.

    Of a refinement of another kind nothing fits: it begins anew. And where the earlier motion's last features had no leak, half
    of them, those that say least, begin anew too, for most have stopped learning anywhere but where something moved already.
    """
    weights = fresh.state_dict()
    fitting = fresh.settings.masked == earlier.settings.masked
    weights |= {
        name: tensor for name, tensor in earlier.state_dict().items() if fitting or not name.startswith("refine.")
    }
    if fresh.settings.leak > 0 and earlier.settings.leak == 0:
        first, scale, shift, last = (f"flow_pred.{name}" for name in ("0.weight", "1.weight", "1.bias", "3.weight"))
        says = weights[last].flatten(1).norm(dim=1) * weights[scale].abs()
        least = says.argsort()[: len(says) // 2]
        weights |= {name: weights[name].clone() for name in (first, scale, shift, last)}
        weights[first][:, least] = fresh.state_dict()[first][:, least]
        weights[scale][least], weights[shift][least], weights[last][least] = 1.0, 0.0, 0.0
    return weights


def start(recipe: Recipe) -> WarpingTrainable:
    """A network ready to train, started as the recipe says: ``base`` is the packaged network.

    Raises:
        CheckpointError: the weights to start from do not fit the recipe.
    """
    torch.manual_seed(recipe.seed)
    settings = settings_of(recipe.network)
    network = WarpingNetwork(settings)
    if recipe.start is not None:
        path = PACKAGED if recipe.start == "base" else Path(recipe.start)
        earlier = load_generator(path)
        other = [
            name for name, value in vars(earlier.settings).items() if name in KEPT and getattr(settings, name) != value
        ]
        if other:
            raise CheckpointError(
                f"{path} has another {', another '.join(other)} than the preset {recipe.preset} wants "
                f"({', '.join(str(getattr(earlier.settings, name)) for name in other)} instead of "
                f"{', '.join(str(getattr(settings, name)) for name in other)}); use the preset it was trained with, or leave "
                f"--from out."
            )
        network.generator.load_state_dict(_taken_over(earlier, network.generator))
    return WarpingTrainable(network, LossSettings(**recipe.losses), seed=recipe.seed)
