"""How the training of generator or inversion begins, and what it learns from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from understudy.checkpoint import load_checkpoint
from understudy.errors import CheckpointError, OptionError
from understudy.families.regional_inversion.discriminator import Discriminator
from understudy.families.regional_inversion.generator_training import GanNetwork, GeneratorLosses, GeneratorTrainable
from understudy.families.regional_inversion.inversion_training import InversionNetwork, InversionTrainable
from understudy.families.regional_inversion.judges import find_judges
from understudy.families.regional_inversion.losses import InversionLosses
from understudy.families.regional_inversion.network import Inversion, RegionalInversion, inversion_of
from understudy.families.regional_inversion.recipes import GENERATOR
from understudy.families.regional_inversion.settings import RegionalSettings, settings_of
from understudy.family import Recipe, Trainable

if TYPE_CHECKING:
    from understudy.dataset.region_crops import RegionCrops

OF_GENERATOR = ("size", "widest", "channel_base", "latent", "mapping_layers")
OF_INVERSION = (
    *OF_GENERATOR,
    "regional_layers",
    "encoder_size",
    "encoder_widths",
    "encoder_blocks",
    "pooling",
    "oval_share",
    "architecture",
    "sean_width",
    "sean_hidden",
    "sean_encoder_width",
)
"""Settings that the weights mean nothing without."""


def start(recipe: Recipe) -> Trainable:
    """The recipe's network, ready to train, from nothing or from an earlier run.

    Raises:
        OptionError: a generator is to be held and none is named.
        CheckpointError: the weights to start from do not fit the recipe.
        WeightsError: a loss needs a network that is not at hand.
    """
    torch.manual_seed(recipe.seed)
    settings = settings_of(recipe.network)
    if recipe.network["stage"] == GENERATOR:
        gan = GanNetwork(settings)
        if recipe.start is not None:
            tensors = _fitting(recipe, settings, OF_GENERATOR)
            _fill(gan.G, tensors, "G.", recipe.start)
            _fill(gan.D, tensors, "D.", recipe.start)
        return GeneratorTrainable(gan, GeneratorLosses(**recipe.losses), seed=recipe.seed)
    if recipe.start is None and recipe.rates.get("generator") == 0:
        raise OptionError(
            f"--preset {recipe.preset} leaves the generator as it was trained; say with --from which one that is."
        )
    losses = InversionLosses(**recipe.losses)
    judges = find_judges(recipe.losses, oval_share=settings.oval_share)
    network = InversionNetwork(settings)
    if recipe.start is not None:
        card_stage, tensors = _read(recipe, settings)
        if card_stage == GENERATOR:
            if not isinstance(network.inversion, RegionalInversion):
                raise CheckpointError(
                    f"{recipe.start} is a generator of StyleGAN2's, and the preset {recipe.preset} trains SEAN, which has none of "
                    f"it; start it from nothing or from a run of its own."
                )
            _fill(network.inversion.G, tensors, "G.", recipe.start)
            network.inversion.latent_avg.copy_(tensors["latent_avg"])
        else:
            _fill(network.inversion, _without_discriminator(tensors), "", recipe.start)
        if losses.discriminated and any(name.startswith("D.") for name in tensors):
            _fill(network.D, tensors, "D.", recipe.start)
    return InversionTrainable(
        network,
        losses,
        judges,
        noise=recipe.network["noise"],
        exact_every=recipe.network.get("exact_every", 1),
        seed=recipe.seed,
    )


def _read(recipe: Recipe, settings: RegionalSettings) -> tuple[str, dict[str, Tensor]]:
    assert recipe.start is not None
    tensors, card = _loaded(recipe.start)
    stage = str(card["stage"])
    _agree(recipe, settings, card, OF_GENERATOR if stage == GENERATOR else OF_INVERSION)
    return stage, tensors


def _fitting(recipe: Recipe, settings: RegionalSettings, names: tuple[str, ...]) -> dict[str, Tensor]:
    assert recipe.start is not None
    tensors, card = _loaded(recipe.start)
    _agree(recipe, settings, card, names)
    return tensors


def _loaded(path: str) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
    if path == "base":
        raise OptionError(
            "--from base: regional_inversion has no packaged generator to start from; name a run, or none."
        )
    tensors, card = load_checkpoint(path, family="regional_inversion")
    if card.network.get("stage") not in (GENERATOR, "inversion"):
        raise CheckpointError(f"{path} is a face parser; start from a generator's or an inversion's run.")
    return tensors, card.network


def _agree(recipe: Recipe, settings: RegionalSettings, card: Mapping[str, Any], names: tuple[str, ...]) -> None:
    earlier = settings_of(card["settings"])
    other = [name for name in names if getattr(settings, name) != getattr(earlier, name)]
    if other:
        raise CheckpointError(
            f"{recipe.start} has another {', another '.join(other)} than the preset {recipe.preset} wants "
            f"({', '.join(str(getattr(earlier, name)) for name in other)} instead of "
            f"{', '.join(str(getattr(settings, name)) for name in other)}); use the preset it was trained with."
        )


def _fill(module: nn.Module, tensors: Mapping[str, Tensor], prefix: str, path: str | Path) -> None:
    part = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    try:
        module.load_state_dict(part)
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not hold the network its card describes: {error}") from error


def _without_discriminator(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in tensors.items() if not name.startswith("D.")}


def load_inversion(path: Path | str) -> Inversion:
    """The inversion network of a checkpoint, with its weights.

    Raises:
        CheckpointError: not such a checkpoint.
    """
    tensors, card = _loaded(str(path))
    if card["stage"] == GENERATOR:
        raise CheckpointError(
            f"{path} holds a generator, which makes faces but reads none; train --stage inversion from it first."
        )
    network = inversion_of(settings_of(card["settings"]))
    _fill(network, {name: value.float() for name, value in _without_discriminator(tensors).items()}, "", path)
    return network


def has_discriminator(path: Path | str) -> bool:
    """Whether a checkpoint holds the discriminator that an inversion was trained with."""
    return any(name.startswith("D.") for name in _loaded(str(path))[0])


def load_discriminator(path: Path | str) -> Discriminator:
    """The discriminator that an inversion was trained with.

    Raises:
        CheckpointError: the checkpoint holds none, or another one than its card describes.
    """
    tensors, card = _loaded(str(path))
    discriminator = Discriminator(settings_of(card["settings"]))
    _fill(discriminator, {name: value.float() for name, value in tensors.items()}, "D.", path)
    return discriminator


def batches(
    recipe: Recipe,
    folder: Path,
    *,
    layout: str = "folder",
    keep: Path | None = None,
    rank: int = 0,
    progress: Callable[[str, int, int | None], None] = lambda *_: None,
) -> RegionCrops:
    """What ``--data`` names, as training batches.

    Args:
        layout: ``folder`` (see :mod:`understudy.dataset.region_crops`) or ``celebamask``.
        keep: where region maps made of a published layout are kept.

    Raises:
        DatasetError: not laid out so, or without regions where they are needed.
        OptionError: no such layout.
    """
    from understudy.dataset.adapters import celebamask
    from understudy.dataset.region_augment import RegionAugment
    from understudy.dataset.region_crops import STILL, RegionCrops, read_region_folder
    from understudy.errors import DatasetError

    if layout == "folder":
        entries = read_region_folder(folder, progress=progress)
    elif layout == "celebamask":
        entries = celebamask.read(folder, (keep or folder) / "regions", progress=progress)
    else:
        raise OptionError(f"--layout {layout}: regional_inversion reads folder and celebamask; choose one of these.")
    if recipe.network["stage"] != GENERATOR and any(entry.regions is None for entry in entries):
        raise DatasetError(
            f"--data {folder} holds pictures without regions; inversion needs the folders pictures and regions (docs/train.md)."
        )
    augment = recipe.network.get("augment")
    # Pictures without landmarks are crops already and are only mirrored; augmented crops are mirrored by their own move.
    moved = augment is not None and all(entry.points is not None for entry in entries)
    return RegionCrops(
        entries,
        oval_share=settings_of(recipe.network).oval_share,
        augment=RegionAugment(**augment) if augment is not None else STILL,
        flip=0.0 if moved else 0.5,
        seed=recipe.seed,
        rank=rank,
    )
