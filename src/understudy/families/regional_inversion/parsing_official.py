"""The public 19-class face-parsing checkpoint (BiSeNet on CelebAMask-HQ, 79999_iter.pth), loaded strictly and without unpickling
code."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from understudy.errors import CheckpointError
from understudy.families.regional_inversion.parsing_network import BiSeNet, ParserSettings

PUBLIC = ParserSettings(oval_share=0.46)
"""19 classes at 512². Its pictures were CelebAMask-HQ's, aligned so that a face is a little under half of their height."""


def load_public(path: Path | str) -> BiSeNet:
    """The network with a public checkpoint's weights.

    Args:
        path: a ``.pth`` file that holds the network's state, or a dictionary with it under ``state_dict``.

    Raises:
        CheckpointError: not there, not tensors alone, or names and shapes that are not this network's.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist; name the checkpoint's file.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises whatever its damage leads to
        first = str(error).strip().splitlines()[:1]
        raise CheckpointError(
            f"{path} cannot be read as tensors alone ({''.join(first)}); it is damaged, or no face-parsing checkpoint."
        ) from error
    return from_public(state, source=str(path))


def from_public(state: object, *, source: str = "the state") -> BiSeNet:
    """As :func:`load_public`, from what the file holds."""
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{source} holds no network's state; a face-parsing checkpoint is a table of tensors.")
    tensors = {name.removeprefix("module."): value for name, value in state.items()}
    network = BiSeNet(PUBLIC)
    own = network.state_dict()
    # Checkpoints of old versions of torch have no counters of batches; they are not used.
    counters = {name: value for name, value in own.items() if name.endswith("num_batches_tracked")}
    tensors = {**counters, **tensors}
    missing, unknown = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    shaped = sorted(name for name in own.keys() & tensors.keys() if own[name].shape != tensors[name].shape)
    for names, what in ((missing, "lacks"), (unknown, "also holds"), (shaped, "has another shape of")):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise CheckpointError(
                f"{source} is no 19-class BiSeNet with a ResNet-18: it {what} {', '.join(names[:3])}{more}."
            )
    network.load_state_dict(tensors)
    return network
