"""Whole trainings of the boundary_vae family, as functions."""

from __future__ import annotations

from dataclasses import replace

from understudy.dataset.augment import AugmentSettings
from understudy.errors import OptionError
from understudy.family import Recipe, Stage

SWITCHES = ("gmm", "pixel_shuffle", "weight_norm")
"""Parts of the network that ``--without`` takes out; ``kl`` is a term of the loss."""

STILL = AugmentSettings(shift=0.0, scale=0.0, rotation=0.0, exposure=0.0, colour=0.0, gamma=0.0, shading=0.0, noise=0.0)
"""None: the paper speaks of no augmentation but aligned crops."""


def paper() -> Recipe:
    """The paper's network and losses; what it does not tell is on the family's page. ψ are filters, for no weights are needed."""
    return Recipe(
        family="boundary_vae",
        preset="paper",
        network={
            "topology": "face13",
            "size": 256,
            "widths": (64, 128, 256, 512, 512, 512, 512),
            "latent": 256,
            **dict.fromkeys(SWITCHES, True),
        },
        losses={"l1": 1.0, "features": 1.0, "kl": 1.0, "kl_rise": 5_000, "perceptual": "filters", "answers": "self"},
        stages=(Stage(resolution=256, pictures=1_450_000, batch=16, fade=0.0),),
        learning_rate=2e-4,
        betas=(0.5, 0.999),
        cool_down=0.5,
        gradient_norm=1.0,
        warm_up=2_000,
        ema_pictures=0,
        augment=STILL,
    )


def paper_vgg() -> Recipe:
    """As ``paper``, compared by VGG19's features, which the user brings."""
    recipe = paper()
    return replace(recipe, preset="paper-vgg", losses={**recipe.losses, "perceptual": "vgg19"})


def preview() -> Recipe:
    """A narrow network for two processor cores that moves the still and paints what the motion cannot show."""
    return Recipe(
        family="boundary_vae",
        preset="preview",
        network={
            "topology": "face17",
            "size": 128,
            "sigma": 0.7,
            "widths": (24, 48, 72, 96, 96, 96),
            "top_width": 16,
            "latent": 128,
            "weighting": "centred",
            "motion": True,
            **dict.fromkeys(SWITCHES, True),
        },
        losses={
            "l1": 1.0,
            "features": 0.5,
            "kl": 1.0,
            "ssim": 0.5,
            "paint": 0.25,
            "smooth": 0.05,
            "face": 2.0,
            "kl_rise": 2_000,
            "perceptual": "filters",
            "answers": "person",
            "apart": 0.4,
        },
        stages=(Stage(resolution=128, pictures=100_000, batch=16, fade=0.0),),
        optimiser="muon",
        learning_rate=1e-3,
        betas=(0.5, 0.99),
        warm_up=1_000,
        cool_down=0.4,
        ema_pictures=2_000,
        augment=AugmentSettings(
            shift=0.04, scale=0.06, rotation=6.0, noise=0.0, contrast=0.2, saturation=0.2, hue=0.02
        ),
    )


def preview_open() -> Recipe:
    """As ``preview``, with a loss of its own for what open lips and lids show; starts from a ``preview`` too."""
    recipe = preview()
    return replace(recipe, preset="preview-open", losses={**recipe.losses, "openings": 0.15})


def preview_clean() -> Recipe:
    """As ``preview-open``, and nothing is painted where no answer is known."""
    recipe = preview_open()
    return replace(recipe, preset="preview-clean", losses={**recipe.losses, "quiet": 1.0})


_RECIPES = {
    "preview": preview,
    "preview-open": preview_open,
    "preview-clean": preview_clean,
    "paper": paper,
    "paper-vgg": paper_vgg,
}
PRESETS = tuple(_RECIPES)


def recipe(preset: str) -> Recipe:
    """The recipe of a preset.

    Raises:
        OptionError: there is no such preset.
    """
    if preset not in _RECIPES:
        raise OptionError(f"--preset {preset}: boundary_vae has {', '.join(PRESETS)}; choose one of these.")
    return _RECIPES[preset]()
