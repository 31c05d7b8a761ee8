"""Which foreign networks may judge: none that a model was trained against, since it has learnt to please them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from understudy.checkpoint import read_card
from understudy.errors import CheckpointError
from understudy.provenance.record import record_path
from understudy.provenance.weights import WEIGHTS

JUDGES = {"identity": "mobilefacenet", "lpips": "lpips-squeeze", "fid": "inception-fid"}
"""Measure -> the network behind it, by its name in the weights' table."""


def taught_by(checkpoint: Path) -> frozenset[str]:
    """The foreign networks whose judgement was part of a checkpoint's loss.

    They stand on its card; weights of the table that the run's recipe names in its losses count too.

    Raises:
        CheckpointError: unreadable, or not one of ours.
    """
    teachers = set(read_card(checkpoint).taught_by)
    settings = checkpoint.parent / "settings.json"
    try:
        losses = json.loads(settings.read_text("utf-8"))["recipe"].get("losses", {})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        losses = {}
    named = set(_texts(losses))
    teachers |= {weight.name for weight in WEIGHTS if {weight.name, weight.file} & named}
    return frozenset(teachers)


def model_of(output: Path) -> Path | None:
    """The checkpoint that made ``output``, by the record beside it; None where there is none or it is gone."""
    try:
        weights = json.loads(record_path(output).read_text("utf-8"))["weights"]
        found = [Path(name) for name in weights if name.endswith(".safetensors")]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return next((path for path in found if path.is_file()), None)


def barred(checkpoint: Path | None) -> dict[str, str]:
    """Measures that may not be taken of a checkpoint's results: measure -> a sentence that says why."""
    if checkpoint is None:
        return {}
    try:
        teachers = taught_by(checkpoint)
    except CheckpointError:
        return {}
    return {
        measure: f"{measure} is left out: {checkpoint} was trained against {network}, which would be asked to judge it."
        for measure, network in JUDGES.items()
        if network in teachers
    }


def _texts(value: Any) -> Iterator[str]:
    """Every string in a nest of dictionaries and lists, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
