"""Weights with a model card, as safetensors: nothing in the file can run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.errors import CheckpointError
from understudy.provenance.atomic import replacing

if TYPE_CHECKING:
    import torch

FORMAT = "understudy-1"


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What a checkpoint is, where it comes from and what it may be used for."""

    family: str
    preset: str
    network: Mapping[str, Any]
    """What the family needs to build the network again."""
    data: str = ""
    """What it was trained on, in a sentence."""
    pictures: int = 0
    """Training pictures seen."""
    licence: str = ""
    consent: Mapping[str, Any] = field(default_factory=dict)
    """The consent record of each identity, as it was when training began."""
    machine: str = ""
    date: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""
    taught_by: Sequence[str] = ()
    """Foreign networks, by their names in the weights' table, whose judgement was part of the loss: none of them may score it."""


def save_checkpoint(path: Path | str, tensors: Mapping[str, torch.Tensor], card: ModelCard) -> None:
    """Write weights and card to one file, and the card beside it as JSON.

    Raises:
        StorageError: full disk or no permission.
    """
    from safetensors.torch import save_file

    from understudy.provenance.atomic import write_json

    path = Path(path)
    metadata = {"format": FORMAT, "card": json.dumps(asdict(card), default=str)}
    with replacing(path) as temporary:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, temporary, metadata)
    write_json(path.with_suffix(".card.json"), asdict(card))


def read_card(path: Path | str) -> ModelCard:
    """The card alone, without loading weights or torch.

    Raises:
        CheckpointError: not there, unreadable, or not one of ours.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(
            f"{path} does not exist; name a model.safetensors that training wrote, or its run's folder."
        )
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= 100_000_000:
                raise ValueError("no header")
            header = json.loads(file.read(length))
        metadata = header.get("__metadata__", {})
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not a safetensors file or is cut short ({error}); train again or copy the file anew."
        ) from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} holds safetensors weights, but not of Understudy's format {FORMAT}; foreign weights cannot be used here."
        )
    values = json.loads(metadata["card"])
    return ModelCard(**{name: value for name, value in values.items() if name in ModelCard.__dataclass_fields__})


def load_checkpoint(path: Path | str, *, family: str | None = None) -> tuple[dict[str, torch.Tensor], ModelCard]:
    """Weights and card.

    Raises:
        CheckpointError: not there, unreadable, not one of ours, or of another family than ``family``.
    """
    card = read_card(path)
    if family is not None and card.family != family:
        raise CheckpointError(f"{path} is a {card.family} model and {family} was asked for; choose the matching one.")
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path), card
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is cut short or damaged ({error}); train again or copy the file anew."
        ) from error
