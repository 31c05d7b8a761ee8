"""Published weights as checkpoints of this house: StyleGAN2's in the public PyTorch port's layout, NVIDIA's, and E4S's own.

- the port's ``stylegan2-ffhq-config-f.pt``: ``g_ema``, perhaps ``d``, ``latent_avg``
- NVIDIA's ``ffhq.pkl`` of StyleGAN2-ADA: live modules in a pickle, of which only the tensors are read (:mod:`inert_pickle`)
- E4S's ``iteration_300000.pt``: ``state_dict`` and ``state_dict_ema`` of the whole network, ``latent_avg``, ``D_state_dict``

Sizes are read off the shapes. Weights are taken whole or not at all. The port keeps modulated weights as (1, O, I, k, k), here
they are (O, I, k, k); all else is renaming.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from understudy.blocks.foreign import filled, read_dictionary, tensors_of
from understudy.checkpoint import ModelCard, save_checkpoint
from understudy.errors import CheckpointError
from understudy.families.regional_inversion.discriminator import Discriminator
from understudy.families.regional_inversion.generator import Generator
from understudy.families.regional_inversion.network import RegionalInversion
from understudy.families.regional_inversion.settings import NUM_REGIONS, RegionalSettings

NVIDIA_LICENCE = "NVIDIA Source Code License, non-commercial; weights trained on FFHQ (CC BY-NC-SA 4.0)"
E4S_LICENCE = f"code MIT (e4s2022); the generator was tuned from NVIDIA's: {NVIDIA_LICENCE}"


@dataclass(frozen=True, kw_only=True)
class Published:
    """Published weights in this family's networks."""

    settings: RegionalSettings
    tensors: Mapping[str, Tensor]
    """By this family's names: ``G.``, ``D.`` where there is one, ``latent_avg``; for E4S also ``encoder.`` and ``MLPs.``."""
    stage: str
    licence: str


def read_published(path: Path | str, *, averaged: bool = False) -> Published:
    """What a published file holds.

    Args:
        averaged: E4S's averaged weights in place of those that its swaps are made with.

    Raises:
        CheckpointError: none of the files above, damaged, or with weights that do not fit.
    """
    path = Path(path)
    if path.suffix.lower() == ".pkl":
        from understudy.families.regional_inversion.nvidia import read_nvidia

        generator, discriminator, mean = read_nvidia(path)
        return stylegan(generator, discriminator, mean, path)
    found = read_dictionary(path)
    if "g_ema" in found:
        discriminator = tensors_of(found["d"], path) if "d" in found else None
        mean = found.get("latent_avg")
        mean = mean.float() if isinstance(mean, Tensor) else None
        return stylegan(tensors_of(found["g_ema"], path), discriminator, mean, path)
    if "state_dict" in found and isinstance(found.get("latent_avg"), Tensor):
        return e4s(found, path, averaged=averaged)
    raise CheckpointError(
        f"{path} holds {', '.join(sorted(map(str, found))[:6])}; StyleGAN2's published file holds g_ema, and E4S's state_dict and "
        f"latent_avg."
    )


def generator_settings(tensors: Mapping[str, Tensor], path: Path | str, **more: Any) -> RegionalSettings:
    """Settings of a generator in the port's layout, from its shapes.

    Raises:
        CheckpointError: no such generator.
    """
    first, mapped = tensors.get("input.input"), tensors.get("style.1.weight")
    levels = sum(name.startswith("to_rgbs.") and name.endswith(".conv.weight") for name in tensors)
    last = tensors.get(f"convs.{2 * levels - 1}.conv.weight")
    if first is None or mapped is None or last is None or first.ndim != 4 or last.ndim != 5:
        raise CheckpointError(f"{path} holds no StyleGAN2 generator: input, style or convolutions are missing.")
    size = 4 << levels
    return RegionalSettings(
        size=size,
        widest=first.shape[1],
        channel_base=last.shape[1] * size,
        latent=mapped.shape[1],
        mapping_layers=sum(name.startswith("style.") and name.endswith(".weight") for name in tensors),
        **more,
    )


def stylegan(
    generator: Mapping[str, Tensor], discriminator: Mapping[str, Tensor] | None, mean: Tensor | None, path: Path | str
) -> Published:
    """From tensors in the port's layout; the mean code is counted out where the file has none.

    Raises:
        CheckpointError: they do not fit.
    """
    settings = generator_settings(generator, path)
    tensors = {f"G.{name}": x for name, x in _checked_generator(generator, settings, path).items()}
    if discriminator is not None:
        with torch.device("meta"):
            whole = Discriminator(settings)
        tensors |= {f"D.{name}": x for name, x in filled(whole, discriminator, path).state_dict().items()}
    if mean is None:
        raise CheckpointError(
            f"{path} has no mean code (latent_avg), without which no face can be read; use another copy."
        )
    if mean.shape not in ((settings.latent,), (settings.layers, settings.latent)):
        raise CheckpointError(f"{path}: latent_avg is {tuple(mean.shape)} and should be ({settings.latent},).")
    tensors["latent_avg"] = mean.expand(settings.layers, settings.latent).clone()
    return Published(settings=settings, tensors=tensors, stage="generator", licence=NVIDIA_LICENCE)


def _checked_generator(
    generator: Mapping[str, Tensor], settings: RegionalSettings, path: Path | str
) -> dict[str, Tensor]:
    with torch.device("meta"):
        whole = Generator(settings)
    squeezed = {name: x.squeeze(0) if x.ndim == 5 else x for name, x in generator.items()}
    return filled(whole, squeezed, path).state_dict()


def e4s(found: Mapping[str, Any], path: Path | str, *, averaged: bool = False) -> Published:
    """From E4S's own file.

    Raises:
        CheckpointError: it does not fit.
    """
    name = "state_dict_ema" if averaged else "state_dict"
    if name not in found:
        raise CheckpointError(f"{path} has no {name}.")
    state = tensors_of(found[name], path)
    generator = {key.removeprefix("G."): x for key, x in state.items() if key.startswith("G.")}
    mean = found["latent_avg"].float()
    codes, inner = state.get("MLPs.0.mlp.2.weight"), state.get("encoder.input_layer.0.weight")
    if codes is None or inner is None or not generator:
        raise CheckpointError(f"{path} is no network of E4S: encoder, MLPs or G are missing.")
    settings = generator_settings(generator, path)
    settings = RegionalSettings(**{**asdict(settings), "regional_layers": codes.shape[0] // settings.latent})
    if sum(key.startswith("MLPs.") and key.endswith("mlp.0.weight") for key in state) != NUM_REGIONS:
        raise CheckpointError(
            f"{path} knows another number of regions than {NUM_REGIONS}; only E4S's twelve are known here."
        )
    with torch.device("meta"):
        network = RegionalInversion(settings)
    mean = mean.expand(settings.layers, settings.latent) if mean.ndim == 1 else mean
    tensors = {key: x.squeeze(0) if x.ndim == 5 else x for key, x in state.items()} | {"latent_avg": mean}
    tensors = filled(network, tensors, path).state_dict()
    if "D_state_dict" in found:
        with torch.device("meta"):
            discriminator = Discriminator(settings)
        held = filled(discriminator, tensors_of(found["D_state_dict"], path), path).state_dict()
        tensors |= {f"D.{key}": x for key, x in held.items()}
    return Published(settings=settings, tensors=tensors, stage="inversion", licence=E4S_LICENCE)


def convert_official(path: Path | str, to: Path | str, *, averaged: bool = False) -> ModelCard:
    """Write the published weights in ``path`` as a checkpoint of this house, and return its card.

    Raises:
        CheckpointError: as :func:`read_published`. StorageError: ``to`` cannot be written.
    """
    published = read_published(path, averaged=averaged)
    settings = published.settings
    card = ModelCard(
        family="regional_inversion",
        preset="code-1024" if published.stage == "inversion" else "paper-1024",
        network={"settings": asdict(settings), "resolution": settings.size, "stage": published.stage},
        data=f"Published weights, {Path(path).name}.",
        licence=published.licence,
    )
    save_checkpoint(to, dict(published.tensors), card)
    return card
