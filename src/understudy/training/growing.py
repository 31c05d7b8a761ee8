"""The resolution schedule: which stage a training is in after so many pictures, and how far the new level has faded in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from understudy.family import Stage


@dataclass(frozen=True, kw_only=True)
class Position:
    """A point in a training."""

    stage: int
    """Index of the stage; the last one also when all pictures are done."""
    fade: float
    """The gain alpha in [0, 1] of the newest level (Fig. 13)."""
    cooling: float
    """Share of the last stage that is done, 0 before it."""
    finished: bool


def position_at(stages: Sequence[Stage], pictures: int) -> Position:
    """Where ``pictures`` training pictures lead.

    Within a stage of n pictures with fade share f, alpha rises linearly from 0 to 1 over its first f·n pictures ("over the course
    of the new level's training": f = 1). The first stage has nothing to fade from.
    """
    before = 0
    for index, stage in enumerate(stages):
        last = index == len(stages) - 1
        if pictures < before + stage.pictures or last:
            done = min((pictures - before) / max(stage.pictures, 1), 1.0)
            fade = 1.0 if index == 0 or stage.fade <= 0 else min(done / stage.fade, 1.0)
            return Position(
                stage=index,
                fade=fade,
                cooling=done if last else 0.0,
                finished=last and pictures >= before + stage.pictures,
            )
        before += stage.pictures
    raise ValueError("a training needs at least one stage")
