"""The whole state of a training on disk, so that the same command goes on with the same numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from understudy.errors import CheckpointError
from understudy.provenance.atomic import replacing


def flatten_optimiser(names: Mapping[int, str], optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Adam's state by parameter name: ``<parameter>|<slot>``."""
    flat = {}
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            for slot, value in optimiser.state.get(parameter, {}).items():
                flat[f"{names[id(parameter)]}|{slot}"] = torch.as_tensor(value)
    return flat


def restore_optimiser(
    names: Mapping[int, str], optimiser: torch.optim.Optimizer, flat: Mapping[str, torch.Tensor]
) -> None:
    """The opposite of :func:`flatten_optimiser`; parameters without a stored state start afresh."""
    stored: dict[str, dict[str, torch.Tensor]] = {}
    for key, value in flat.items():
        name, slot = key.rsplit("|", 1)
        stored.setdefault(name, {})[slot] = value
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            state = stored.get(names[id(parameter)])
            if state:
                # A fused optimiser walks parameter and state side by side in memory: they must be laid out alike.
                optimiser.state[parameter] = {
                    slot: value.clone() if slot == "step" else torch.empty_like(parameter).copy_(value)
                    for slot, value in state.items()
                }


def save_state(path: Path, tensors: Mapping[str, torch.Tensor], values: Mapping[str, Any]) -> None:
    """One safetensors file with the numbers in its header, whole or absent."""
    from safetensors.torch import save_file

    with replacing(path) as temporary:
        contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        save_file(contiguous, temporary, {"state": json.dumps(values)})


def load_state(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """What :func:`save_state` wrote.

    Raises:
        CheckpointError: damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            values = json.loads((file.metadata() or {})["state"])
            return {name: file.get_tensor(name) for name in file.keys()}, values  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"{path} is damaged ({error}); remove it to go on from the run's model.safetensors by --from, or train anew."
        ) from error
