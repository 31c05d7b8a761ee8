"""regional_inversion: faces swapped and edited region by region, through regional GAN inversion (paper 001)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.families.regional_inversion import recipes
from understudy.families.regional_inversion.parsing_recipes import PARSING_PRESETS, parsing_batches, parsing_recipe
from understudy.family import Family, Task

PARSING = "parsing"
_PACKAGED = Path(__file__).with_name("inversion_128.safetensors")

if TYPE_CHECKING:
    from understudy.checkpoint import ModelCard
    from understudy.family import Parser, Recipe, RegionEditor, Trainable


def recipe(preset: str = "preview", *, stage: str = PARSING) -> Recipe:
    """The training settings of one of the family's networks."""
    return parsing_recipe(preset) if stage == PARSING else recipes.recipe(preset, stage=stage)


def trainable(recipe: Recipe, identities: Sequence[str] = (), pictures: Mapping[str, Any] | None = None) -> Trainable:
    """The recipe's network, ready to train."""
    if _parses(recipe):
        from understudy.families.regional_inversion.parsing_training import start_parsing

        return start_parsing(recipe)
    from understudy.families.regional_inversion.start import start

    return start(recipe)


def batches(recipe: Recipe, folder: Path, *, keep: Path | None = None, **options: Any) -> Any:
    """What ``--data`` names as training batches."""
    if _parses(recipe):
        return parsing_batches(recipe, folder, keep=keep, **options)
    from understudy.families.regional_inversion.start import batches

    return batches(recipe, folder, keep=keep, **options)


def parser(checkpoint: Path | str | None = None, *, device: str = "auto") -> Parser:
    """The face parser: the packaged one, or from a checkpoint."""
    from understudy.families.regional_inversion.parsing import region_parser

    return region_parser(checkpoint, device=device)


def editor(checkpoint: Path | str, *, device: str = "auto") -> RegionEditor:
    """A trained inversion, ready to edit and to swap."""
    from understudy.families.regional_inversion.perform import RegionalPerformer

    return RegionalPerformer(checkpoint, device=device)


def importer(file: Path, checkpoint: Path) -> ModelCard:
    """StyleGAN2's or E4S's published weights as a checkpoint."""
    from understudy.families.regional_inversion.official import convert_official

    return convert_official(file, checkpoint)


def _parses(recipe: Recipe) -> bool:
    return recipe.network.get("stage", PARSING) == PARSING


FAMILY = Family(
    name="regional_inversion",
    title="Fine-Grained Face Swapping via Regional GAN Inversion",
    paper="Liu and others; CVPR 2023",
    tasks=frozenset({Task.EDIT}),
    presets=tuple(dict.fromkeys((*PARSING_PRESETS, *recipes.PRESETS))),
    recipe=recipe,
    trainable=trainable,
    batches=batches,
    parser=parser,
    editor=editor,
    importer=importer,
    default_weights=_PACKAGED if _PACKAGED.is_file() else None,
    labelled=True,
    parts=(PARSING, recipes.GENERATOR, recipes.INVERSION),
)
