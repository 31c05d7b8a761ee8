"""regional_inversion: faces swapped and edited region by region, through regional GAN inversion (paper 001)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.families.regional_inversion.parsing_recipes import PARSING_PRESETS, parsing_batches, parsing_recipe
from understudy.family import Family

if TYPE_CHECKING:
    from understudy.family import Recipe, Trainable


def recipe(preset: str = "preview", *, stage: str = "parsing") -> Recipe:
    """The training settings of one of the family's networks."""
    return parsing_recipe(preset)


def trainable(recipe: Recipe, identities: Sequence[str] = (), pictures: Mapping[str, Any] | None = None) -> Trainable:
    """The recipe's network, ready to train."""
    from understudy.families.regional_inversion.parsing_training import start_parsing

    return start_parsing(recipe)


def batches(recipe: Recipe, folder: Path, *, keep: Path | None = None, **options: Any) -> Any:
    """What ``--data`` names as training batches."""
    return parsing_batches(recipe, folder, **options)


FAMILY = Family(
    name="regional_inversion",
    title="Fine-Grained Face Swapping via Regional GAN Inversion",
    paper="Liu and others; CVPR 2023",
    tasks=frozenset(),
    presets=PARSING_PRESETS,
    recipe=recipe,
    trainable=trainable,
    batches=batches,
    labelled=True,
    parts=("parsing",),
)
