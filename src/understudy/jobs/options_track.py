"""How faces are followed through a clip. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class TrackOptions:
    """How faces are followed."""

    stabilise: bool = True
    """Measure every face on several slightly moved crops and average them."""
    perturbations: int = 9
    """How many such crops, 1 to 64."""
    smooth: bool = True
    """Steady the crop's place, size and angle over time, without lag."""
    threshold: float = 0.5
    """How sure the detector must be, 0 to 1."""
    tiles: Literal["auto", "none"] = "auto"
    """Whether to look for small faces, part by part of the picture."""
