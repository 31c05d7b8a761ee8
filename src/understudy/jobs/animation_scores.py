"""The measures of one candidate, gathered over the pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from understudy.jobs.animation_pairs import Pair, Seen


def missing_measures() -> tuple[str, ...]:
    """A sentence for every measure whose network is not at hand."""
    from understudy.metrics.identity import missing_identity
    from understudy.metrics.lpips import missing_lpips

    return tuple(sentence for sentence in (missing_identity(), missing_lpips()) if sentence)


class Scale:
    """Collects one candidate's measures; what cannot be measured here is left out."""

    def __init__(self) -> None:
        from understudy.metrics.identity import missing_identity
        from understudy.metrics.lpips import missing_lpips

        self.identity, self.lpips = missing_identity() is None, missing_lpips() is None
        self.values: dict[str, list[float]] = {}
        self.units: list[np.ndarray] = []
        self.wanted: list[np.ndarray] = []

    def add(self, picture: np.ndarray, pair: Pair, seen: Seen | None) -> None:
        """Compare a picture (s, s, 3) with the pair's answer; ``seen`` is the face found in it."""
        from understudy.metrics.lpips import lpips
        from understudy.metrics.psnr import psnr
        from understudy.metrics.ssim import ssim

        self._keep("psnr", psnr(picture, pair.answer, mask=pair.mask))
        self._keep("ssim", ssim(picture, pair.answer, mask=pair.mask))
        if self.lpips:
            self._keep("lpips", lpips(picture, pair.answer, mask=pair.mask))
        self.add_face(picture, pair, seen, pair.answer_seen.units)

    def add_face(self, picture: np.ndarray, pair: Pair, seen: Seen | None, wanted: np.ndarray) -> None:
        """Compare the face in a picture with the still's identity and with the wanted units (17,)."""
        from understudy.metrics.action_units import unit_error
        from understudy.metrics.identity import embed, similarity

        if seen is None:
            return
        self.units.append(seen.units)
        self.wanted.append(wanted)
        self._keep("units", unit_error(seen.units[None], wanted[None]))
        if self.identity:
            still = embed(pair.still, pair.still_seen.landmarks)
            self._keep("identity", similarity(embed(picture, seen.landmarks), still))

    def add_sequence(self, frames: Sequence[np.ndarray], pair: Pair) -> None:
        """The flow-warping error of an animation's frames (s, s, 3) inside the pair's faces, in thousandths."""
        from understudy.metrics.flow_warp import clip_flow_warping_error

        found = clip_flow_warping_error(frames, masks=[pair.mask] * len(frames))
        if found.visible > 0:
            self._keep("flow_warp", 1000 * found.error)

    def means(self) -> dict[str, float]:
        """Measure -> mean over what was added."""
        return {name: float(np.mean(values)) for name, values in self.values.items()}

    def by_unit(self) -> dict[str, dict[str, float | None]]:
        """Unit -> error and correlation with the wanted units."""
        from understudy.metrics.action_units import unit_scores

        return unit_scores(np.stack(self.units), np.stack(self.wanted)).as_dict() if self.units else {}

    def _keep(self, measure: str, value: float) -> None:
        self.values.setdefault(measure, []).append(value)
