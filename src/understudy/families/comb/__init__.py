"""comb: one shared encoder, one decoder per performer, grown level by level (paper 000)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.families.comb.recipes import PRESETS, recipe
from understudy.family import Family, Task

if TYPE_CHECKING:
    from understudy.family import Performer, Recipe, Trainable


def trainable(recipe: Recipe, identities: Sequence[str], pictures: Mapping[str, Any]) -> Trainable:
    """A comb ready to train on ``pictures`` (``understudy.dataset.batches.Pictures`` by identity)."""
    from understudy.families.comb.start import start

    return start(recipe, identities, pictures)


def performer(checkpoint: Path | str, *, device: str = "auto") -> Performer:
    """A trained comb, ready to perform."""
    from understudy.families.comb.perform import CombPerformer

    return CombPerformer(checkpoint, device=device)


FAMILY = Family(
    name="comb",
    title="High-Resolution Neural Face Swapping for Visual Effects",
    paper="Naruniec, Helminger, Schroers, Weber; Computer Graphics Forum 39(4), 2020",
    tasks=frozenset({Task.SWAP}),
    presets=PRESETS,
    recipe=recipe,
    trainable=trainable,
    performer=performer,
)
