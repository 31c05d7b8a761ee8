"""What the start knows of other people's light, kept while the branches learn their own footage.

A swap shows one identity's branch a performance of another. Training never does: no picture says how anna looks under
ben's light. The network that training starts from does know light, from many people, but not anna. So its answer to ben's
picture through anna's branch, shrunk until no person is left in it, is held before the trained network (Li and Hoiem,
Learning without Forgetting, 2016), after the mean difference between anna and the person that her branch began as:

    goal = shrink(start_anna(ben)) exp(mean over anna's pictures of log shrink(x) - log shrink(start_anna(x)))
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.families.comb.network import CombNetwork, level_size

FLOOR = 0.02
"""Below this a ratio of two pictures is noise."""
SMOOTH = 0.5
"""A place that fewer than this many pictures show as face says nothing."""


def shrink(x: Tensor, size: int) -> Tensor:
    """(B, C, s, s) averaged down to (B, C, size, size)."""
    return functional.adaptive_avg_pool2d(x.float(), size)


class Guide(nn.Module):
    """The network that training starts from, held still."""

    def __init__(self, start: CombNetwork, own: Mapping[str, tuple[Tensor, Tensor]], *, size: int = 8) -> None:
        """
        Args:
            start: an unmodulated comb; it is copied.
            own: by identity, (B, 3, s, s) pictures of its own in [0, 1] and (B, 1, s, s) weights.
            size: side to which pictures are shrunk. At 16 brows and eyes still show, and the start's would be kept with the light.
        """
        super().__init__()
        self.size = size
        self.level = start.level
        self.start = copy.deepcopy(start).eval().requires_grad_(False)
        self.offsets: dict[str, Tensor] = {}
        for identity, (pictures, weights) in own.items():
            answers = self._answers(pictures, identity)
            inside = self.inside(weights)
            ratio = (shrink(pictures, size) + FLOOR).log() - (answers + FLOOR).log()
            self.offsets[identity] = (ratio * inside).sum(0) / inside.sum(0).clamp_min(SMOOTH)

    def inside(self, weights: Tensor) -> Tensor:
        """(B, 1, s, s) weights -> (B, 1, size, size): how much of every place is face."""
        return shrink((weights > 0.25).float(), self.size)

    @torch.no_grad()
    def _answers(self, pictures: Tensor, identity: str) -> Tensor:
        pictures = functional.interpolate(pictures, size=level_size(self.level), mode="area")
        return shrink(self.start.decode(self.start.encode(pictures), identity), self.size)

    def goal(self, pictures: Tensor, identity: str) -> Tensor:
        """(B, 3, s, s) of anybody -> (B, 3, size, size): light and colours of the same performance by ``identity``."""
        offset = self.offsets.get(identity)
        answers = self._answers(pictures, identity)
        return answers if offset is None else (answers + FLOOR) * offset.to(answers).exp() - FLOOR

    def loss(self, outputs: Tensor, pictures: Tensor, weights: Tensor, identity: str) -> Tensor:
        """Mean absolute difference between the trained network's (B, 3, s, s) answers and the goal, inside the face."""
        inside = self.inside(weights)
        difference = (shrink(outputs, self.size) - self.goal(pictures, identity)).abs() * inside
        return difference.sum() / (inside.sum() * 3).clamp_min(1e-6)


def crossed(names: Sequence[str], step: int) -> list[tuple[int, int]]:
    """Pairs (whose branch, whose picture) of a step: everybody's branch sees somebody else; nothing for one identity."""
    count = len(names)
    turn = 1 + step % (count - 1) if count > 1 else 0
    return [(at, (at + turn) % count) for at in range(count)] if count > 1 else []
