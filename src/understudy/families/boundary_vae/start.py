"""How a training begins: focal points from the data, weights from nothing, the packaged network, or an earlier run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from understudy.checkpoint import load_checkpoint
from understudy.errors import CheckpointError, DatasetError
from understudy.faces.boundary import boundary_maps
from understudy.families.boundary_vae.losses import LossSettings
from understudy.families.boundary_vae.memory import Bank, k_means, small_maps
from understudy.families.boundary_vae.network import BoundaryNetwork, BoundarySettings, settings_of
from understudy.families.boundary_vae.phases import BoundaryTrainable
from understudy.family import Recipe

PACKAGED = Path(__file__).with_name("boundary_vae_128.safetensors")
MOST_MAPS = 20_000
"""More boundary maps than this are not clustered: an even choice of them stands for all."""


def load_network(path: Path | str) -> BoundaryNetwork:
    """The network of a checkpoint, with its weights.

    Raises:
        CheckpointError: not a boundary_vae network's weights.
    """
    tensors, card = load_checkpoint(path, family="boundary_vae")
    network = BoundaryNetwork(settings_of(card.network["settings"]))
    try:
        network.load_state_dict({**tensors, "draws": network.draws})
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not hold the network its card describes: {error}") from error
    return network


def memory_bank(points: np.ndarray, settings: BoundarySettings, *, seed: int = 0) -> Bank:
    """The focal points of the data's boundary maps (section 3.2).

    Args:
        points: (M, N, 2) of all training pictures, in the unit square.

    Raises:
        DatasetError: fewer different maps than focal points.
    """
    chosen = points[np.linspace(0, len(points) - 1, min(len(points), MOST_MAPS)).round().astype(int)]
    rows = []
    for first in range(0, len(chosen), 64):
        part = chosen[first : first + 64].astype(np.float64) * settings.size
        rows.append(
            small_maps(
                boundary_maps(part, settings.topology, settings.size, sigma=settings.sigma), settings.memory_size
            )
        )
    return k_means(np.concatenate(rows), settings.clusters, seed=seed)


def start(recipe: Recipe, pictures: Mapping[str, Any] | None = None) -> BoundaryTrainable:
    """A network ready to train.

    Args:
        recipe: its ``start`` may name weights; ``base`` is the packaged network.
        pictures: the data by name; its ``points`` (M, N, 2), in the unit square, fill the memory of a network without weights.

    Raises:
        CheckpointError: the weights to start from do not fit the recipe.
        DatasetError: the data has too few different faces for the memory.
    """
    torch.manual_seed(recipe.seed)
    settings = settings_of(recipe.network)
    network = BoundaryNetwork(settings)
    if recipe.start is not None:
        path = PACKAGED if recipe.start == "base" else Path(recipe.start)
        earlier = load_network(path)
        other = [name for name, value in vars(earlier.settings).items() if getattr(settings, name) != value]
        if other:
            raise CheckpointError(
                f"{path} has another {', another '.join(other)} than the preset {recipe.preset} wants; use the preset it was "
                f"trained with, or leave --from out."
            )
        network.load_state_dict({**earlier.state_dict(), "draws": network.draws})
    elif settings.gmm and pictures:
        known = [found for data in pictures.values() if (found := getattr(data, "points", None)) is not None]
        if not known:
            raise DatasetError("boundary_vae learns from pictures whose landmarks are known, and this data has none.")
        network.memory.remember(memory_bank(np.concatenate(known), settings, seed=recipe.seed))
    return BoundaryTrainable(network, LossSettings(**recipe.losses), seed=recipe.seed)
