"""Weights that others published: read without running anything, and put in place whole or not at all."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from understudy.errors import CheckpointError

WRAPPER = "module."
Module = TypeVar("Module", bound=nn.Module)


def read_dictionary(path: Path | str, *, wanted: str = "the published file") -> Mapping[str, object]:
    """What a file that torch wrote holds, tensors and plain values alone.

    Args:
        wanted: what a user is told to name instead.

    Raises:
        CheckpointError: not there, damaged, holding something that would have to run, or no dictionary.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist; name {wanted}.")
    try:
        # Some files keep the options of their training, which is a plain record.
        with torch.serialization.safe_globals([argparse.Namespace]):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises whatever its damage leads to
        first = str(error).strip().splitlines()[:1]
        raise CheckpointError(
            f"{path} is damaged, or holds more than tensors and is not opened for that ({''.join(first)}); copy it anew."
        ) from error
    if not isinstance(found, Mapping) or not found:
        raise CheckpointError(f"{path} does not hold a dictionary of tensors; name {wanted}.")
    return found


def tensors_of(found: object, path: Path | str) -> dict[str, Tensor]:
    """A dictionary's tensors as float32, without the wrapper's prefix.

    Raises:
        CheckpointError: not a dictionary of tensors alone.
    """
    if not isinstance(found, Mapping) or not found or not all(isinstance(value, Tensor) for value in found.values()):
        raise CheckpointError(f"{path} does not hold a dictionary of tensors where one should be; copy it anew.")
    return {str(name).removeprefix(WRAPPER): value.float() for name, value in found.items()}


def read_tensors(path: Path | str, *, wanted: str = "the published file") -> dict[str, Tensor]:
    """A file's tensors by name, as they are or under ``state_dict``; ``wanted`` as :func:`read_dictionary` takes it.

    Raises:
        CheckpointError: see :func:`read_dictionary` and :func:`tensors_of`.
    """
    found = read_dictionary(path, wanted=wanted)
    inner = found.get("state_dict")
    return tensors_of(inner if isinstance(inner, Mapping) else found, path)


def filled(module: Module, tensors: Mapping[str, Tensor], path: Path | str) -> Module:
    """The module with these weights, every one in its place.

    Raises:
        CheckpointError: one is missing, too many or of another shape.
    """
    # How many batches a normalisation has seen is not kept by older files and counts for nothing.
    idle = "num_batches_tracked"
    wanted = {name: tuple(value.shape) for name, value in module.state_dict().items() if not name.endswith(idle)}
    kept = {name: value for name, value in tensors.items() if not name.endswith(idle)}
    found = {name: tuple(value.shape) for name, value in kept.items()}
    if wanted != found:
        missing = sorted(wanted.keys() - found.keys())
        extra = sorted(found.keys() - wanted.keys())
        other = sorted(name for name in wanted.keys() & found.keys() if wanted[name] != found[name])
        parts = [
            f"{what} {', '.join(names[:4])}{' and others' if len(names) > 4 else ''}"
            for what, names in (("lacks", missing), ("also has", extra), ("has another shape of", other))
            if names
        ]
        raise CheckpointError(
            f"{path} does not fit: it {', and '.join(parts)}; weights are loaded whole or not at all."
        )
    module.load_state_dict(
        kept, strict=not any(name.endswith(idle) for name in module.state_dict()), assign=_is_meta(module)
    )
    return module


def _is_meta(module: nn.Module) -> bool:
    return any(parameter.is_meta for parameter in module.parameters())
