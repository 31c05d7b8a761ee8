"""Whole trainings of the comb, as functions."""

from __future__ import annotations

from dataclasses import replace

from understudy.dataset.augment import AugmentSettings
from understudy.errors import OptionError
from understudy.family import Recipe, Stage

TABLE_1 = (512, 512, 512, 512, 256, 128, 64, 32, 16)
"""The paper's widths, level 0 (4²) to 8 (1024²)."""
NARROW = (256, 256, 192, 96, 48, 16)
"""A network for a processor, to 128²: wide where pixels are few."""
FINE = 12
"""Channels of the level above, 256²: a person's own detail on top of what the base knows."""


SHARP = (0.35, 0.25, 0.2, 0.12, 0.08)
"""Exponents of MS-SSIM's scales that make a blur dear."""


def grown(top: int, *, each: int, last: int, batches: tuple[int, ...], fade: float) -> tuple[Stage, ...]:
    """Stages from 4² up to level ``top``; ``each`` training pictures a level, ``last`` at the finest."""
    return tuple(
        Stage(
            resolution=4 << k, pictures=last if k == top else each, batch=batches[min(k, len(batches) - 1)], fade=fade
        )
        for k in range(top + 1)
    )


def preview() -> Recipe:
    """128² in minutes on a processor: starts from the base model, at full size at once."""
    return Recipe(
        family="comb",
        preset="preview",
        network={"widths": NARROW, "latent": 256, "split_level": 1},
        losses={"ssim": 1.0, "l1": 1.0, "scale_weights": SHARP, "keep": 1.0},
        stages=(Stage(resolution=128, pictures=24_000, batch=8, fade=0.0),),
        optimiser="muon",
        # The gains do the most of it: free weights fit the training pictures better and the plate's light far worse.
        learning_rate=4e-4,
        rates={"encoder": 0.0125, "shared": 0.0125, "branches": 0.15, "modulations": 12.5},
        cool_down=0.5,
        ema_pictures=800,
        augment=AugmentSettings(exposure=0.5, colour=0.18, gamma=0.22, shading=0.38),
        start="base",
    )


def preview_256() -> Recipe:
    """256² in an hour on a processor: the base's network sees and draws 128², and a level of every identity's own adds to it."""
    start = preview()
    return replace(
        start,
        preset="preview-256",
        network={**start.network, "widths": (*NARROW, FINE), "input_level": len(NARROW) - 1, "residual": True},
        stages=(
            Stage(resolution=128, pictures=6_000, batch=8, fade=0.0),
            Stage(resolution=256, pictures=40_000, batch=8, fade=0.0),
        ),
        # What the base does not have learns at an ordinary rate.
        rates={**start.rates, "fresh": 2.5},
    )


def preview_scratch() -> Recipe:
    """The preview network grown from 4² without the base model."""
    return replace(
        preview(),
        preset="preview-scratch",
        losses={"ssim": 1.0, "l1": 1.0, "scale_weights": SHARP},
        stages=grown(5, each=4_000, last=40_000, batches=(16, 16, 16, 16, 8, 8), fade=0.5),
        learning_rate=6e-4,
        rates={},
        ema_pictures=2_000,
        start=None,
    )


def studio_256() -> Recipe:
    """256² with half of Table 1's width: hours on one GPU."""
    return Recipe(
        family="comb",
        preset="studio-256",
        network={"widths": (256, 256, 256, 256, 128, 64, 32), "latent": 512, "split_level": 1},
        losses={"ssim": 1.0, "l1": 1.0, "scale_weights": SHARP},
        stages=grown(6, each=160_000, last=800_000, batches=(32, 32, 32, 32, 16, 16, 8), fade=1.0),
        cool_down=0.3,
        ema_pictures=20_000,
    )


def studio_512() -> Recipe:
    """512² with Table 1's width: about a day on one GPU."""
    return Recipe(
        family="comb",
        preset="studio-512",
        network={"widths": TABLE_1[:-1], "latent": 512, "split_level": 1},
        losses={"ssim": 1.0, "l1": 1.0, "scale_weights": SHARP},
        stages=grown(7, each=320_000, last=1_200_000, batches=(32, 32, 32, 32, 16, 16, 8, 4), fade=1.0),
        cool_down=0.3,
        ema_pictures=20_000,
    )


def hero_1024() -> Recipe:
    """The paper's network, exactly Table 1, to 1024²: days on one GPU.

    The fade over the whole of each level is the paper's; pictures per level, batch and learning rate are ours, for it gives none.
    """
    return Recipe(
        family="comb",
        preset="hero-1024",
        network={"widths": TABLE_1, "latent": 512, "split_level": 1},
        losses={"ssim": 1.0, "l1": 1.0, "scale_weights": SHARP},
        stages=grown(8, each=400_000, last=1_200_000, batches=(32, 32, 32, 32, 16, 16, 8, 4, 2), fade=1.0),
        cool_down=0.3,
        ema_pictures=20_000,
    )


def base() -> Recipe:
    """The packaged base model: the preview network on many invented people's paired performances."""
    return Recipe(
        family="comb",
        preset="base",
        network={"widths": NARROW, "latent": 256, "split_level": 1},
        losses={"ssim": 1.0, "l1": 1.0, "scale_weights": SHARP},
        stages=(
            Stage(resolution=8, pictures=2_000, batch=16, fade=0.0),
            Stage(resolution=16, pictures=4_000, batch=16, fade=0.5),
            Stage(resolution=32, pictures=16_000, batch=16, fade=0.5),
            Stage(resolution=64, pictures=24_000, batch=16, fade=0.3),
            Stage(resolution=128, pictures=124_000, batch=16, fade=0.15),
        ),
        optimiser="muon",
        learning_rate=6e-4,
        betas=(0.9, 0.99),
        warm_up=1_000,
        rates={"modulations": 2.0},
        cool_down=0.5,
        ema_pictures=2_000,
        augment=AugmentSettings(exposure=0.25, colour=0.08, gamma=0.1, shading=0.15),
    )


_RECIPES = {
    "preview": preview,
    "preview-256": preview_256,
    "preview-scratch": preview_scratch,
    "studio-256": studio_256,
    "studio-512": studio_512,
    "hero-1024": hero_1024,
    "base": base,
}
PRESETS = tuple(_RECIPES)


def recipe(preset: str) -> Recipe:
    """The recipe of a preset.

    Raises:
        OptionError: there is no such preset.
    """
    if preset not in _RECIPES:
        raise OptionError(f"--preset {preset}: the comb has {', '.join(PRESETS)}; choose one of these.")
    return _RECIPES[preset]()
