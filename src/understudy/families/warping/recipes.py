"""Whole trainings of the warping family, as functions."""

from __future__ import annotations

from dataclasses import dataclass, replace

from understudy.dataset.augment import AugmentSettings
from understudy.errors import OptionError
from understudy.family import Recipe, Stage

RAFD = ("angry", "disgusted", "fearful", "happy", "sad", "surprised", "neutral", "contemptuous")
"""RaFD's eight expressions, in the published code's order."""
EMOTIONNET = (
    *("sadly disgusted", "neutral", "happy", "sad", "sad 2", "angry", "surprised", "disgusted", "fearful"),
    *("happily surprised", "happily disgusted", "sadly angry", "angrily disgusted", "appalled", "hatred"),
    *("angrily surprised", "sadly surprised", "sadly surprised 2", "disgustedly surprised", "disgustedly surprised 2"),
    *(
        "disgustedly surprised 3",
        "fearfully surprised",
        "awed",
        "sadly fearful",
        "fearfully disgusted",
        "fearfully angry",
    ),
)
"""EmotionNet's 26 compound expressions, in the published code's order; it gives some names more than once."""
SMILE = ("neutral", "smile")
"""CelebA's attribute Smiling."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """One of the four trainings of section 4.1."""

    expressions: tuple[str, ...]
    width: int
    coefficient: float
    epochs: tuple[int, int]
    """At the full rate, and falling to nothing."""
    pictures: int
    """In the data set; the paper does not say how many it used, these are the sets' own sizes."""


PUBLISHED = {
    "": Published(expressions=(), width=128, coefficient=0.3, epochs=(20, 10), pictures=202_599),
    "-smile": Published(expressions=SMILE, width=64, coefficient=0.1, epochs=(30, 20), pictures=202_599),
    "-rafd": Published(expressions=RAFD, width=64, coefficient=0.2, epochs=(200, 100), pictures=8_040),
    "-emotionnet": Published(expressions=EMOTIONNET, width=64, coefficient=0.1, epochs=(200, 100), pictures=24_600),
}
"""By what follows ``paper`` or ``code`` in a preset's name; nothing: CelebA's pictures driven by action units."""


def paper(data: str = "") -> Recipe:
    """The paper's losses (section 3.3) with what only its code tells: optimiser, rate, epochs, widths."""
    published = PUBLISHED[data]
    constant, falling = published.epochs
    return Recipe(
        family="warping",
        preset=f"paper{data}",
        network={
            "width": published.width,
            "coefficient": published.coefficient,
            "expressions": published.expressions,
        },
        losses={"cycle": 10.0, "adversarial": 1.0, "drive": 1.0, "warp": 1.0, "refine": 10.0},
        stages=(Stage(resolution=128, pictures=published.pictures * (constant + falling), batch=10, fade=0.0),),
        learning_rate=1e-4,
        betas=(0.5, 0.999),
        cool_down=falling / (constant + falling),
        gradient_norm=0.0,
        ema_pictures=0,
        precision="float32",
        augment=JITTER,
    )


def code(data: str = "") -> Recipe:
    """The published code's losses where they differ from the paper's, and its scale of action units."""
    recipe = paper(data)
    return replace(
        recipe,
        preset=f"code{data}",
        network={**recipe.network, "unit_scale": 0.5},
        losses={**recipe.losses, "warp": 0.5, "refine": 1.0, "cycle_warped": True},
    )


JITTER = AugmentSettings(
    # The published code's: six pixels of 128 to each side, brightness and contrast and saturation and hue.
    shift=6 / 128,
    scale=0.0,
    rotation=0.0,
    exposure=0.26,
    colour=0.0,
    gamma=0.0,
    shading=0.0,
    noise=0.0,
    contrast=0.2,
    saturation=0.2,
    hue=0.1,
)


def preview() -> Recipe:
    """A narrow network for two processor cores, from pictures in pairs: the true answer teaches more than the critics do."""
    return Recipe(
        family="warping",
        preset="preview",
        network={
            "width": 32,
            "coefficient": 0.15,
            "critic_width": 32,
            "quick_start": True,
            "modulated": True,
            "masked": True,
            "leak": 0.1,
        },
        losses={
            "cycle": 0.0,
            "adversarial": 0.01,
            "drive": 0.1,
            "warp": 0.1,
            # Small: from a start at nothing, a refinement that is charged for every pixel never begins to paint.
            "refine": 0.05,
            "pair": 10.0,
            "features": 1.0,
            "smooth": 0.5,
            "points": 1.0,
            "points_moving": 9.0,
            "openings": 1.5,
            "quiet": 10.0,
            "generator_every": 1,
            "critic_every": 2,
        },
        stages=(Stage(resolution=128, pictures=120_000, batch=16, fade=0.0),),
        optimiser="muon",
        learning_rate=1e-3,
        rates={"critic_refined": 0.3, "critic_warped": 0.3},
        betas=(0.5, 0.99),
        warm_up=1_000,
        cool_down=0.4,
        ema_pictures=2_000,
        augment=AugmentSettings(
            shift=0.04, scale=0.06, rotation=6.0, noise=0.0, contrast=0.2, saturation=0.2, hue=0.02
        ),
    )


_RECIPES = {
    "preview": preview,
    **{f"paper{data}": (lambda data=data: paper(data)) for data in PUBLISHED},
    **{f"code{data}": (lambda data=data: code(data)) for data in PUBLISHED},
}
PRESETS = tuple(_RECIPES)


def recipe(preset: str) -> Recipe:
    """The recipe of a preset.

    Raises:
        OptionError: there is no such preset.
    """
    if preset not in _RECIPES:
        raise OptionError(f"--preset {preset}: warping has {', '.join(PRESETS)}; choose one of these.")
    return _RECIPES[preset]()
