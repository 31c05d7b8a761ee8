"""How fast faces are made region by region: only where a region is, everywhere for each, and without regions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from understudy.faces.regions import Region
from understudy.jobs.machine_limits import times

NETWORKS = ("preview", "paper-1024")


@dataclass(frozen=True, kw_only=True)
class RegionRate:
    """The generator of regional inversion, one picture, float32."""

    preset: str
    size: int
    """Pixels a side. Of the preset of 1024² it is 256: what its regions reach to, and with them nearly all of the time."""
    seconds: float
    """Each region where it is, the shortest of several."""
    everywhere_seconds: float
    """Each of the twelve over the whole picture and then masked, as the equation is written."""
    plain_seconds: float
    """One code for the whole picture: what no regions at all would take."""


def region_rate(preset: str, *, device: str, seconds: float = 3.0) -> RegionRate:
    """Time the generator of one of :data:`NETWORKS` on a drawn face."""
    import torch

    from understudy import families
    from understudy.families.regional_inversion.generator import Generator
    from understudy.families.regional_inversion.places import RegionMaps
    from understudy.families.regional_inversion.settings import settings_of

    recipe = families.get("regional_inversion").recipe(preset, stage="inversion")
    size = min(recipe.stages[-1].resolution, 256)
    settings = settings_of({**recipe.network, "size": size})
    generator = Generator(settings).eval().requires_grad_(False).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    labels = torch.from_numpy(drawn_face(size))[None].to(device)
    codes = torch.randn(1, len(Region), settings.layers, settings.latent, device=device)

    def shortest(everywhere: bool | None) -> float:
        def once() -> None:
            regions = None if everywhere is None else RegionMaps(labels, everywhere=everywhere)
            made = generator(codes[:, 0] if regions is None else codes, regions)
            float(made[0, 0, 0, 0])  # a GPU answers when it is asked

        with torch.inference_mode():
            return min(times(once, seconds=seconds, least=2))

    return RegionRate(
        preset=preset,
        size=size,
        seconds=shortest(False),
        everywhere_seconds=shortest(True),
        plain_seconds=shortest(None),
    )


def drawn_face(size: int) -> np.ndarray:
    """(size, size) uint8 regions of a head and shoulders, the face half as high as the picture; no glasses."""
    import cv2

    labels = np.zeros((size, size), np.uint8)
    shapes = (
        (Region.HAIR, (0.5, 0.45), (0.33, 0.40)),
        (Region.NECK, (0.5, 0.88), (0.15, 0.20)),
        (Region.EARS, (0.27, 0.52), (0.03, 0.06)),
        (Region.EARS, (0.73, 0.52), (0.03, 0.06)),
        (Region.EARRINGS, (0.27, 0.60), (0.012, 0.02)),
        (Region.SKIN, (0.5, 0.52), (0.21, 0.26)),
        (Region.BROWS, (0.41, 0.43), (0.06, 0.012)),
        (Region.BROWS, (0.59, 0.43), (0.06, 0.012)),
        (Region.EYES, (0.41, 0.48), (0.04, 0.017)),
        (Region.EYES, (0.59, 0.48), (0.04, 0.017)),
        (Region.NOSE, (0.5, 0.55), (0.04, 0.07)),
        (Region.LIPS, (0.5, 0.67), (0.08, 0.035)),
        (Region.MOUTH, (0.5, 0.67), (0.05, 0.012)),
    )
    for region, (x, y), (half_width, half_height) in shapes:
        centre, axes = (round(x * size), round(y * size)), (round(half_width * size), round(half_height * size))
        cv2.ellipse(labels, centre, axes, 0, 0, 360, int(region), cv2.FILLED)
    return labels
