"""One animated head back into its still.

The network sees a small upright crop of the head, and answers with a small picture O_t and a small motion field F_t. Neither
is laid into the still. Taken are the motion, and what the answer has beyond the moved crop (the teeth of an opened mouth);
both are turned from the crop's frame to the still's own pixel grid, so a tilted head needs no resampling of the still, and
handed to residual warping. What the network does to a still that it was asked nothing of (its own colour, its own softness)
is no performance and is taken off. With I the crop, move(I, F)(p) = I(p + F(p)), and r_t the strength:

    rest                B_0 = O - I                       answer without strength
                        B_1 = O - move(I, F), F_1 = F     answer at full strength towards the still's own state
    motion              F'_t = F_t - r_t F_1
    addition            A_t = O_t - move(I, F_t) - move((1 - r_t) B_0 + r_t B_1, F'_t)
    into the still      low = move(I_low, w F'_t) + w A_t,  result = residual warp of low by w F'_t

w falls smoothly from 1 to 0 over a margin inside the crop's border: motion and addition both fade there, so nothing is seen
double, as it would be in a cross-fade. Where both are nothing, the still comes back bit for bit.

That will not do where a family without motion shows the head in another place: the still's own head would stay beneath. Such
a window is to be *replaced*: the answer itself lies over the still, at its own sharpness, w and the family's matte saying
where. With O the answer at full strength towards the still's own state, enlarged as all of them are,

    result = I + w (O_t - (1 - r_t) O - r_t I)

is the still without strength and the answer at full strength, and between them there is no jump.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from understudy.composite.motion import warp_by_motion
from understudy.composite.residual_warp import Method, ResidualPyramid
from understudy.errors import FaceError
from understudy.faces.warp import invert, transform_points, warp

if TYPE_CHECKING:
    from understudy.faces.align import CropTransform
    from understudy.perform.animate import AnimatedCrop

MARGIN = 0.12
"""Width of the fade inside the crop's border, share of the crop's side."""
_SMALLEST = 8  # pixels of a window's side; less holds nothing to move


@dataclass(frozen=True, kw_only=True)
class HeadPatch:
    """An animated head as it lies in the still.

    Attributes:
        box: x0, y0, x1, y1, whole pixels of the still, x1 and y1 excluded.
        view: (h, w, C) float32, the still's channels in the box with the head moved.
        where: (h, w) bool, the pixels that differ from the still in any bit.
    """

    box: tuple[int, int, int, int]
    view: np.ndarray
    where: np.ndarray


def head_box(transform: CropTransform, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The crop's bounding box in whole pixels, cut at the still's edges: x0, y0, x1, y1.

    Args:
        transform: pixels of the still to the crop's unit square.
        size: (width, height) of the still.

    Raises:
        FaceError: next to nothing of the crop lies inside the still.
    """
    corners = transform.corners()
    low = np.maximum(np.floor(corners.min(axis=0) + 1e-6).astype(int), 0)
    high = np.minimum(np.ceil(corners.max(axis=0) - 1e-6).astype(int), size)
    if (high - low < _SMALLEST).any():
        raise FaceError(
            "The head lies outside the picture or is too small: under 8 pixels of it are there to be moved."
        )
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


class HeadWindow:
    """The part of a still that holds the head; prepared once, used for every frame.

    Attributes:
        box: x0, y0, x1, y1, the window in whole pixels of the still, never beyond it.
        crop: (size, size, 3) float32 RGB in [0, 1], what the network is to be shown; where the crop reaches beyond the
            still, the still's edge is repeated (for the network alone).
        laid_over: an answer without motion has been laid over the still, all of the head being the network's own painting.
    """

    def __init__(
        self,
        view: np.ndarray,
        box: tuple[int, int, int, int],
        transform: CropTransform,
        size: int,
        *,
        method: Method = "multiscale",
        margin: float = MARGIN,
        replace: bool = False,
    ) -> None:
        """Prepare a window.

        Args:
            view: (h, w, C) float32, C >= 3, finite: the still within ``box``, RGB in view space, then any channels that
                move along. It must not change afterwards.
            box: from :func:`head_box`.
            transform: pixels of the still to the crop's unit square.
            size: side of the network's pictures, pixels.
            method: as :class:`~understudy.composite.residual_warp.ResidualPyramid` takes it.
            margin: width of the fade, share of the crop's side, 0 to 0.5.
            replace: answers without motion lie over the still, instead of adding what they change to it.
        """
        self.box, self._replace, self.laid_over = box, replace, False
        x0, y0, _, _ = box
        self._still = np.ascontiguousarray(view, np.float32)
        height, width = self._still.shape[:2]
        to_crop = np.array(transform.matrix)  # window pixels to the crop's unit square
        to_crop[:, 2] += to_crop[:, :2] @ (x0, y0)
        self.crop = np.clip(warp(self._still[..., :3], to_crop * size, (size, size), cubic=True), 0, 1)
        # The grid on which motion and addition meet the still: as fine as the network's, over the window.
        grid = max(1, min(round(size * max(width, height) / transform.side), width, height))
        self._pyramid = ResidualPyramid(self._still, grid, method)
        scale = np.array([grid / width, grid / height])
        # Crop pixels -> crop units -> window pixels -> grid pixels.
        back = invert(to_crop)
        self._to_grid = np.concatenate([back[:, :2] / size, back[:, 2:]], axis=1) * scale[:, None]
        # Vectors in crop sides -> in the window's sides, transposed for rows of vectors.
        self._turn = (back[:, :2] / np.array([[width], [height]])).T.astype(np.float32)
        self._fade = _fade(invert(self._to_grid), grid, size, margin)
        self._rest = (np.zeros_like(self.crop), np.zeros_like(self.crop))
        self._drift = np.zeros((size, size, 2), np.float32)

    def set_rest(self, without: AnimatedCrop, towards_itself: AnimatedCrop) -> None:
        """Note what the network does to a still that is asked for nothing; without this call: nothing.

        Args:
            without: its answer without strength.
            towards_itself: its answer at full strength towards the still's own state.
        """
        self._drift = np.zeros_like(self._drift) if towards_itself.motion is None else towards_itself.motion
        self._rest = (self._beyond_motion(without), self._beyond_motion(towards_itself))

    def lay_in(self, answer: AnimatedCrop, strength: float = 1.0) -> HeadPatch:
        """The head of one frame.

        Args:
            answer: the network's, for :attr:`crop`.
            strength: of the drive in this frame, 0 to 1; says how much of the network's own drift is in the answer.
        """
        if answer.motion is None and self._replace:
            return self._lay_over(answer, min(max(strength, 0.0), 1.0))
        motion = np.zeros_like(self._drift) if answer.motion is None else answer.motion - strength * self._drift
        rest = (1 - strength) * self._rest[0] + strength * self._rest[1]
        addition = self._beyond_motion(answer) - warp_by_motion(rest.astype(np.float32), motion)
        share = self._fade
        if answer.matte is not None:
            share = share * np.clip(self._on_grid(answer.matte), 0, 1)
        motion = share[..., None] * (self._on_grid(motion) @ self._turn)
        low = self._pyramid.low_still
        low = np.where(motion.any(axis=-1, keepdims=True), _moved(low, motion), low)
        low = low + share[..., None] * self._on_grid(addition)
        view = self._pyramid.apply(low, motion)
        if self._pyramid.method not in ("multiscale", "vanilla"):
            # Merely enlarged, all of the window is soft: it fades into the still, or its border would show.
            shown = cv2.resize(self._fade, view.shape[1::-1], interpolation=cv2.INTER_LINEAR)[..., None]
            view = self._still + shown * (view - self._still)
        return HeadPatch(box=self.box, view=view, where=(view != self._still).any(axis=-1))

    def _lay_over(self, answer: AnimatedCrop, strength: float) -> HeadPatch:
        """The answer itself over the still; alpha stays."""
        self.laid_over = True
        size = self._still.shape[1::-1]
        share = self._fade
        if answer.matte is not None:
            share = share * np.clip(self._on_grid(answer.matte), 0, 1)
        shown = cv2.resize(share, size, interpolation=cv2.INTER_LINEAR)[..., None]
        low = self._on_grid(answer.crop - (1 - strength) * (self.crop + self._rest[1]))
        over = cv2.resize(low, size, interpolation=cv2.INTER_CUBIC)
        view = self._still.copy()
        view[..., :3] += shown * (over - np.float32(strength) * self._still[..., :3])
        return HeadPatch(box=self.box, view=view, where=(view != self._still).any(axis=-1))

    def _beyond_motion(self, answer: AnimatedCrop) -> np.ndarray:
        """What an answer has that the moved crop has not, (size, size, 3)."""
        if answer.motion is None:
            return answer.crop - self.crop
        return answer.crop - warp_by_motion(self.crop, answer.motion)

    def _on_grid(self, field: np.ndarray) -> np.ndarray:
        """A field (size, size[, C]) of the crop, on the grid (g, g[, C])."""
        side = self._fade.shape[0]
        return warp(np.ascontiguousarray(field, np.float32), self._to_grid, (side, side), cubic=True)


def _fade(to_crop: np.ndarray, grid: int, size: int, margin: float) -> np.ndarray:
    """(grid, grid) float32: 1 inside the crop, 0 at its border and beyond; ``to_crop`` leads from grid pixels to crop pixels."""
    centres = np.arange(grid) + 0.5
    points = np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2)
    inside = transform_points(to_crop, points) / size
    # Enlarged level by level, a grid pixel spreads over less than two beside it: the fade ends that far before the border.
    spread = 2.0 * float(np.abs(to_crop[:, :2]).sum(axis=1).max()) / size
    distance = np.minimum(inside, 1.0 - inside) - spread
    ramp = np.clip(distance / max(margin, 1e-6), 0.0, 1.0)
    ramp = ramp * ramp * (3.0 - 2.0 * ramp)
    return ramp.prod(axis=1).reshape(grid, grid).astype(np.float32)


def _moved(picture: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """``picture(p + motion(p))`` at the same size, cubic: bilinear would soften a picture this small visibly."""
    height, width = picture.shape[:2]
    columns = np.arange(width, dtype=np.float32) + motion[..., 0] * width
    rows = np.arange(height, dtype=np.float32)[:, None] + motion[..., 1] * height
    return cv2.remap(picture, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
