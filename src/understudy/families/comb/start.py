"""How a comb's training begins: from nothing, from the base model, or from an earlier run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from understudy.checkpoint import load_checkpoint
from understudy.dataset.batches import Pictures, to_tensors
from understudy.errors import CheckpointError
from understudy.families.comb.base import Base, BaseNetwork, BaseTrainable
from understudy.families.comb.guide import Guide
from understudy.families.comb.losses import CombTrainable, LossSettings
from understudy.families.comb.modulated import modulate
from understudy.families.comb.network import CombNetwork, CombSettings, level_size
from understudy.family import Recipe, Trainable

GUIDED = 32
"""Pictures of an identity that tell how it differs from the person that its branch begins as."""
PACKAGED_BASE = Path(__file__).with_name("base_128.safetensors")


def settings_of(network: Mapping[str, Any]) -> CombSettings:
    """Network settings from a recipe or a card, where lists stand for tuples."""
    return CombSettings(**{**network, "widths": tuple(network["widths"])})


def start(recipe: Recipe, identities: Sequence[str], pictures: Mapping[str, Pictures]) -> Trainable:
    """A network ready to train, started as the recipe says.

    Raises:
        CheckpointError: the weights to start from do not fit the recipe.
    """
    torch.manual_seed(recipe.seed)
    losses = LossSettings(**recipe.losses)
    settings = settings_of(recipe.network)
    first_level = (recipe.stages[0].resolution // 4).bit_length() - 1
    if recipe.preset == "base":
        return BaseTrainable(BaseNetwork(settings, identities, first_level), losses)
    if recipe.start is None:
        return CombTrainable(CombNetwork(settings, identities, first_level), losses)
    path = PACKAGED_BASE if recipe.start == "base" else Path(recipe.start)
    tensors, card = load_checkpoint(path, family="comb")
    if card.network.get("base"):
        base = Base(tensors, card.network)
        if not base.reaches(settings):
            raise CheckpointError(
                f"{path} has widths {base.settings.widths} and latent {base.settings.latent}, and the preset {recipe.preset} "
                f"wants {settings.widths} and {settings.latent}; use the preview preset, or leave --from out."
            )
        comb = base.new_comb(identities, settings)
        for identity in identities:
            if identity in pictures:
                base.fit_branch(comb, identity, *few(pictures[identity], level_size(comb.level)))
    else:
        comb = from_run(tensors, card.network, settings, identities, path)
    guide = None
    if losses.keep > 0:
        own = {name: few(pictures[name], level_size(comb.level), GUIDED) for name in identities if name in pictures}
        guide = Guide(comb, own)
    if recipe.rates.get("modulations", 0.0) > 0:
        modulate(comb)
    return CombTrainable(comb, losses, guide)


def few(pictures: Pictures, size: int, count: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """``count`` evenly spaced pictures and their weights at ``size`` pixels."""
    chosen = np.linspace(0, len(pictures) - 1, count + 2).round().astype(int)[1:-1]
    read, weights = to_tensors([pictures.read(int(at)) for at in chosen])
    shrink = lambda x: functional.interpolate(x, size=(size, size), mode="area")  # noqa: E731
    return shrink(read), shrink(weights)


def from_run(
    tensors: Mapping[str, torch.Tensor],
    network: Mapping[str, Any],
    wanted: CombSettings,
    identities: Sequence[str],
    path: Path,
) -> CombNetwork:
    """A comb that goes on from an earlier run's weights; new identities start from the first one's branch."""
    settings = settings_of(network["settings"])
    if settings != wanted:
        raise CheckpointError(
            f"{path} is a comb with widths {settings.widths} and this preset wants {wanted.widths}; use the run's own preset."
        )
    comb = CombNetwork(settings, network["identities"])
    comb.finish_level()
    comb.load_state_dict(dict(tensors))
    for identity in identities:
        if identity not in comb.identities:
            comb.add_identity(identity, like=comb.identities[0])
    for identity in [known for known in comb.identities if known not in identities]:
        comb.remove_identity(identity)
    return comb
