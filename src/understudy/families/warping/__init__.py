"""warping: a motion field at 128², a refined picture, and residuals warped to any size (paper 003)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.families.warping.recipes import PRESETS, recipe
from understudy.family import Family, Task

if TYPE_CHECKING:
    from understudy.checkpoint import ModelCard
    from understudy.family import Animator, Recipe, Trainable

_PACKAGED = Path(__file__).with_name("warping_128.safetensors")


def trainable(recipe: Recipe, identities: Sequence[str] = (), pictures: Mapping[str, Any] | None = None) -> Trainable:
    """A warping network ready to train; it learns from labelled pictures, whoever is on them."""
    from understudy.families.warping.start import start

    return start(recipe)


def animator(checkpoint: Path | str, *, device: str = "auto") -> Animator:
    """A trained warping network, ready to animate."""
    from understudy.families.warping.perform import WarpingAnimator

    return WarpingAnimator(checkpoint, device=device)


def importer(file: Path, checkpoint: Path) -> ModelCard:
    """The authors' weights as a checkpoint."""
    from understudy.families.warping.official import convert_official

    return convert_official(file, checkpoint)


FAMILY = Family(
    name="warping",
    title="Animating Through Warping: an Efficient Method for High-Quality Facial Expression Animation",
    paper="Yi and others; 2020",
    tasks=frozenset({Task.ANIMATE}),
    presets=PRESETS,
    recipe=recipe,
    trainable=trainable,
    animator=animator,
    importer=importer,
    default_weights=_PACKAGED if _PACKAGED.is_file() else None,
    labelled=True,
)
