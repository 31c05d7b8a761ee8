"""Whole trainings of the face parser, as functions, and the pictures they take. Loads no torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.errors import OptionError
from understudy.family import Recipe, Stage

if TYPE_CHECKING:
    from understudy.dataset.region_pictures import RegionPictures


def preview() -> Recipe:
    """A narrow parser of 1.9 M parameters for a processor, guided by the mesh, with labels at half the picture's side."""
    return Recipe(
        family="regional_inversion",
        preset="preview",
        network={
            "classes": 12,
            "widths": (24, 48, 96, 192),
            "context": 48,
            "guide": 6,
            "detail": 24,
            "size": 256,
            "oval_share": 0.42,
        },
        losses={"heads": 0.3, "hard": 0.7, "overlap": 0.3},
        stages=(Stage(resolution=256, pictures=120_000, batch=16, fade=0.0),),
        learning_rate=2e-3,
        warm_up=1_600,
        cool_down=0.5,
        ema_pictures=6_000,
    )


def paper() -> Recipe:
    """The public checkpoint's network on our twelve regions, its losses and its length (80 000 steps of 16); Adam in place of
    SGD."""
    return Recipe(
        family="regional_inversion",
        preset="paper",
        network={"classes": 12, "size": 512, "oval_share": 0.42},
        losses={"heads": 1.0, "hard": 0.7, "overlap": 0.0},
        stages=(Stage(resolution=448, pictures=1_280_000, batch=16, fade=0.0),),
        learning_rate=5e-4,
        warm_up=16_000,
        cool_down=0.9,
        gradient_norm=0.0,
        ema_pictures=0,
    )


_RECIPES = {"preview": preview, "paper": paper}
PARSING_PRESETS = tuple(_RECIPES)


def parsing_recipe(preset: str = "preview") -> Recipe:
    """A preset's whole settings.

    Raises:
        OptionError: no such preset.
    """
    if preset not in _RECIPES:
        raise OptionError(f"--preset {preset}: parsing has {', '.join(_RECIPES)}.")
    return _RECIPES[preset]()


def parsing_batches(
    recipe: Recipe,
    folder: Path,
    *,
    layout: str = "folder",
    keep: Path | None = None,
    rank: int = 0,
    progress: Callable[[str, int, int | None], None] = lambda *_: None,
) -> RegionPictures:
    """Pictures with region maps as training batches.

    Args:
        layout: ``folder`` (``dataset/region_pictures.py``) or ``celebamask``, the data set as it is published.
        keep: where region maps and landmarks made of a published layout are kept.

    Raises:
        OptionError: a layout that region maps do not come in.
        DatasetError: not such a folder.
    """
    from understudy.dataset.region_pictures import RegionPictures

    if layout not in ("folder", "celebamask"):
        raise OptionError(
            f"--layout {layout}: pictures with region maps come as folder or celebamask (docs/regions.md)."
        )
    paths = None
    if layout == "celebamask":
        from understudy.dataset.adapters import celebamask

        entries = celebamask.read(folder, (keep or folder) / "regions", progress=progress)
        paths = {entry.picture.stem: (entry.picture, entry.regions) for entry in entries if entry.regions is not None}
    network = recipe.network
    return RegionPictures(
        folder if paths is None else keep or folder,
        paths=paths,
        oval_share=float(network["oval_share"]),
        guide=bool(network.get("guide", 0)),
        seed=recipe.seed,
        rank=rank,
        progress=progress,
    )
