"""Whole trainings of the generator and of the inversion, as functions. Loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from understudy.errors import OptionError
from understudy.family import Recipe, Stage

GENERATOR, INVERSION = "generator", "inversion"
STEP = 16
"""Pictures in a step of the paper: 2 on each of 8 devices."""
CALM = {
    "zoom": 0.06,
    "shift": 0.015,
    "rotation": 4.0,
    "squeeze": 0.02,
    "bend": 0.0,
    "disguise": 0.0,
    "light": 0.35,
    "camera": 0.0,
    "mesh": 0.0,
}
"""How crops are changed (``dataset.region_augment``) where a canonical crop is to stay one."""
NARROW = {
    "size": 128,
    "widest": 128,
    "channel_base": 2048,
    "latent": 128,
    "regional_layers": 9,
    "encoder_size": 128,
    "encoder_widths": (16, 32, 64, 128, 128),
    "encoder_blocks": (1, 2, 3, 2),
    "pooling": "area",
    "oval_share": 0.6,
}
"""Networks for two processor cores. Nine layers reach to 64², half the side, as thirteen reach to a quarter of 1024²."""

NARROW_SEAN = {
    "architecture": "sean",
    "latent": 64,
    "sean_width": 10,
    "sean_hidden": 20,
    "sean_encoder_width": 12,
}
"""SEAN with as many parameters and at the same cost as the networks above; the discriminator is theirs."""


def generator_paper() -> Recipe:
    """StyleGAN2's config F for FFHQ: 25 million pictures, 32 in a step (4 on each of 8 devices)."""
    return Recipe(
        family="regional_inversion",
        preset="paper-1024",
        network={"stage": GENERATOR, "augment": None},
        losses={"r1": 10.0, "path": 2.0, "mixing": 0.9, "adaptive": 0.0},
        stages=(Stage(resolution=1024, pictures=25_000_000, batch=4, fade=0.0),),
        learning_rate=2e-3,
        betas=(0.0, 0.99),
        gradient_norm=0.0,
        ema_pictures=10_000,
        precision="float32",
    )


def generator_preview() -> Recipe:
    """A narrow generator at 128². Few people are on the pictures, so the discriminator sees them augmented."""
    return Recipe(
        family="regional_inversion",
        preset="preview",
        network={"stage": GENERATOR, "augment": {**CALM, "disguise": 0.15}, **NARROW},
        losses={"r1": 0.5, "path": 0.0, "mixing": 0.5, "adaptive": 0.6, "adaptive_pictures": 60_000},
        stages=(Stage(resolution=128, pictures=300_000, batch=16, fade=0.0),),
        learning_rate=2e-3,
        betas=(0.0, 0.99),
        gradient_norm=0.0,
        ema_pictures=5_000,
    )


def inversion_paper() -> Recipe:
    """The paper's training on FFHQ (section 4): 300 000 steps of 16, the rate a tenth from 100 000 and a hundredth from 150 000.

    Start it from a trained generator (``--from``); 8 devices with 2 pictures each.
    """
    return Recipe(
        family="regional_inversion",
        preset="paper-1024",
        network={"stage": INVERSION, "augment": None, "noise": "random"},
        losses={
            "l2": 1.0,
            "lpips": 0.8,
            "identity": 0.1,
            "parsing": 0.1,
            "adversarial": 0.01,
            "gram": 0.0,
            "code_length": 0.0,
            "discriminator_every": 15,
        },
        stages=(Stage(resolution=1024, pictures=300_000 * STEP, batch=2, fade=0.0),),
        learning_rate=1e-4,
        rates={"generator_last": 0.0},
        drops=((100_000 * STEP, 0.1), (150_000 * STEP, 0.1)),
        gradient_norm=0.0,
        ema_pictures=50_000,
        precision="float32",
    )


def inversion_paper_celebamask() -> Recipe:
    """The paper's training on CelebAMask-HQ: 200 000 steps."""
    recipe = inversion_paper()
    stage = replace(recipe.stages[0], pictures=200_000 * STEP)
    return replace(recipe, preset="paper-1024-celebamask", stages=(stage,))


def inversion_code() -> Recipe:
    """The published code's own settings where they differ: 200 000 steps, one drop of the rate."""
    return replace(inversion_paper_celebamask(), preset="code-1024", drops=((100_000 * STEP, 0.1),))


def inversion_fixed_generator() -> Recipe:
    """Table 1's row (B), "w/o finetuning": only encoder and MLPs learn."""
    recipe = inversion_paper_celebamask()
    return replace(recipe, preset="paper-1024-fixed", rates={"generator": 0.0, "generator_last": 0.0})


def inversion_preview() -> Recipe:
    """128² on two processor cores, from a preview generator or from nothing: every layer learns, and no foreign network judges."""
    return Recipe(
        family="regional_inversion",
        preset="preview",
        network={
            "stage": INVERSION,
            "augment": {**CALM, "disguise": 0.25},
            "noise": "fixed",
            "exact_every": 3,
            **NARROW,
        },
        losses={
            "l2": 1.0,
            "lpips": 0.0,
            "identity": 0.0,
            "parsing": 0.0,
            "adversarial": 0.02,
            "l1": 1.0,
            "similarity": 0.3,
            "features": 0.5,
            "detail": 5.0,
            "r1": 0.5,
            "discriminator_every": 2,
        },
        stages=(Stage(resolution=128, pictures=120_000, batch=8, fade=0.0),),
        optimiser="muon",
        learning_rate=1e-3,
        betas=(0.9, 0.99),
        warm_up=1_000,
        cool_down=0.4,
        ema_pictures=3_000,
    )


def inversion_preview_judged() -> Recipe:
    """The preview with the paper's two judges of faces beside its own terms, for section 5's "without identity" (``--without``)."""
    recipe = inversion_preview()
    return replace(recipe, preset="preview-judged", losses={**recipe.losses, "lpips": 0.8, "identity": 0.1})


def inversion_preview_fixed() -> Recipe:
    """Table 1's row (B) at the preview's size: start it from a preview generator, which stays as it is."""
    recipe = inversion_preview()
    return replace(recipe, preset="preview-fixed", rates={"generator": 0.0, "generator_last": 0.0})


def inversion_sean() -> Recipe:
    """SEAN at its published widths and 256², as section 5 puts it in RGI's place: data, losses and schedule as on CelebAMask-HQ,
    from nothing. Its own losses (hinge, the discriminator's features, VGG) and rates are not used: both networks are to differ
    in themselves alone."""
    recipe = inversion_paper_celebamask()
    stage = replace(recipe.stages[0], resolution=256)
    network = {**recipe.network, "size": 256, "architecture": "sean"}
    return replace(recipe, preset="sean-256", network=network, stages=(stage,), rates={})


def inversion_preview_sean() -> Recipe:
    """SEAN in RGI's place at the preview's size, cost and all else alike."""
    recipe = inversion_preview()
    network = {name: value for name, value in recipe.network.items() if name != "exact_every"}
    return replace(recipe, preset="preview-sean", network={**network, **NARROW_SEAN})


_RECIPES: Mapping[str, Mapping[str, Callable[[], Recipe]]] = {
    GENERATOR: {"preview": generator_preview, "paper-1024": generator_paper},
    INVERSION: {
        "preview": inversion_preview,
        "preview-judged": inversion_preview_judged,
        "preview-fixed": inversion_preview_fixed,
        "paper-1024": inversion_paper,
        "paper-1024-celebamask": inversion_paper_celebamask,
        "paper-1024-fixed": inversion_fixed_generator,
        "code-1024": inversion_code,
        "preview-sean": inversion_preview_sean,
        "sean-256": inversion_sean,
    },
}
PRESETS = tuple(dict.fromkeys(preset for recipes in _RECIPES.values() for preset in recipes))


def recipe(preset: str, *, stage: str) -> Recipe:
    """The recipe of a preset of the generator or of the inversion.

    Raises:
        OptionError: there is no such preset.
    """
    recipes = _RECIPES[stage]
    if preset not in recipes:
        raise OptionError(
            f"--preset {preset}: regional_inversion --stage {stage} has {', '.join(recipes)}; choose one of these."
        )
    return recipes[preset]()
