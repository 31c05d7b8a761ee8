"""boundary_vae: a face moved to a target boundary map, appearance and structure apart (AF-VAE, paper 002)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.families.boundary_vae.recipes import PRESETS, recipe
from understudy.family import Family, Task

if TYPE_CHECKING:
    from understudy.family import Animator, Recipe, Trainable

_PACKAGED = Path(__file__).with_name("boundary_vae_128.safetensors")


def trainable(recipe: Recipe, identities: Sequence[str] = (), pictures: Mapping[str, Any] | None = None) -> Trainable:
    """A network ready to train, its memory filled from the data's points."""
    from understudy.families.boundary_vae.start import start

    return start(recipe, pictures)


def animator(checkpoint: Path | str, *, device: str = "auto") -> Animator:
    """A trained network, ready to animate."""
    from understudy.families.boundary_vae.perform import BoundaryAnimator

    return BoundaryAnimator(checkpoint, device=device)


FAMILY = Family(
    name="boundary_vae",
    title="Make a Face: Towards Arbitrary High Fidelity Face Manipulation",
    paper="Qian and others; ICCV 2019",
    tasks=frozenset({Task.ANIMATE}),
    presets=PRESETS,
    recipe=recipe,
    trainable=trainable,
    animator=animator,
    default_weights=_PACKAGED if _PACKAGED.is_file() else None,
    labelled=True,
)
