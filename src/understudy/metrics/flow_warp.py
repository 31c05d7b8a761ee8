"""Flow-warping error: how much of a picture's change from frame to frame no motion explains (Lai et al., 2018).

The next frame is moved back onto this one along the optical flow, and the mean square difference is taken where both show
the same thing. With F the flow from this frame to the next, B the one back, w(B) what B shows at p + F(p), and len² the
squared length, a pixel of this frame does not count where

    len²(F + w(B)) > 0.01 (len²(F) + len²(w(B))) + 0.5        it is hidden in one of the two frames
    len²(grad F_x) + len²(grad F_y) > 0.01 len²(F) + 0.002    it lies on the border of two motions

The published figures take the flow from FlowNet2. Here it is OpenCV's DIS, which is at hand everywhere: orders hold, figures
do not compare with published ones, and every result says so (:attr:`FlowWarp.flow`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from understudy.errors import InternalError
from understudy.metrics.picture import check_mask, check_pictures

FLOW = "DIS (OpenCV, medium preset, of 8-bit luma) in place of FlowNet2"
_SMALLEST = 16  # pixels a side; DIS matches patches of 8 and needs some room to move them


@dataclass(frozen=True, kw_only=True)
class FlowWarp:
    """Flow-warping error of two frames, or the mean over a clip."""

    error: float
    """Mean square difference, range of pictures 1; 0: all change is motion. Not-a-number where no pixel counts."""
    visible: float
    """Share of pixels that counted, 0 to 1 (of the mask's weight, where there is a mask)."""
    flow: str = FLOW
    """Where the optical flow comes from."""


def flow_warping_error(
    picture: np.ndarray,
    following: np.ndarray,
    *,
    mask: np.ndarray | None = None,
    flows: tuple[np.ndarray, np.ndarray] | None = None,
) -> FlowWarp:
    """The error of one frame and the one after it.

    Args:
        picture, following: float (H, W, 3), RGB in view space, range [0, 1], sides of at least 16.
        mask: float (H, W) weights in [0, 1] in ``picture``. None: every pixel counts once.
        flows: the flow from ``picture`` to ``following`` and the one back, (H, W, 2) float32, x then y, pixels; None
            takes both from the two pictures. Give the true ones where they are known: the flow of a picture that
            flickers follows its flicker, to some part.

    Raises:
        InternalError: shapes differ, the pictures are too small, or the mask is empty.
    """
    now, then = check_pictures(picture, following)
    weights = check_mask(mask, picture)
    if flows is None:
        flows = optical_flow(picture, following), optical_flow(following, picture)
    forward, backward = flows
    for flow in flows:
        if flow.shape != (*now.shape[:2], 2):
            raise InternalError(f"a flow of {flow.shape} does not fit a picture of {now.shape[:2]}")
    counted = weights * visible(forward, backward)
    share = float(counted.sum() / weights.sum())
    if share == 0:
        return FlowWarp(error=float("nan"), visible=0.0)
    difference = np.square(_along(then.astype(np.float32), forward) - now).mean(axis=2)
    return FlowWarp(error=float((difference * counted).sum() / counted.sum()), visible=share)


def clip_flow_warping_error(frames: Iterable[np.ndarray], *, masks: Iterable[np.ndarray] | None = None) -> FlowWarp:
    """The mean over successive frames, each pair counting once; two frames are held at a time.

    Raises:
        InternalError: fewer than two frames, or what :func:`flow_warping_error` raises.
    """
    found: list[FlowWarp] = []
    weights = None if masks is None else iter(masks)
    before: tuple[np.ndarray, np.ndarray | None] | None = None
    for frame in frames:
        mask = None if weights is None else next(weights)
        if before is not None:
            found.append(flow_warping_error(before[0], frame, mask=before[1]))
        before = frame, mask
    return mean_flow_warp(found)


def mean_flow_warp(found: Sequence[FlowWarp]) -> FlowWarp:
    """The mean over pairs of frames, or over clips; those in which no pixel counts are left out of the error."""
    if not found:
        raise InternalError("flow-warping error wants two frames or more")
    errors = [value.error for value in found if value.visible > 0]
    return FlowWarp(
        error=float(np.mean(errors)) if errors else float("nan"),
        visible=float(np.mean([value.visible for value in found])),
    )


def optical_flow(picture: np.ndarray, following: np.ndarray) -> np.ndarray:
    """DIS flow, (H, W, 2) float32, x then y, pixels: what ``picture`` shows at p, ``following`` shows at p + flow(p).

    Args:
        picture, following: float (H, W, 3), RGB in view space, range [0, 1] (what lies beyond is cut off).
    """
    if min(picture.shape[:2]) < _SMALLEST:
        raise InternalError(
            f"optical flow needs pictures of at least {_SMALLEST} x {_SMALLEST}, not {picture.shape[:2]}"
        )
    luma = [
        cv2.cvtColor(np.rint(np.clip(frame, 0, 1) * 255).astype(np.uint8), cv2.COLOR_RGB2GRAY)
        for frame in (picture, following)
    ]
    flow = np.zeros((*picture.shape[:2], 2), np.float32)
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(luma[0], luma[1], flow)


def visible(forward: np.ndarray, backward: np.ndarray) -> np.ndarray:
    """(H, W) bool: which pixels of a frame are seen in the next one too, away from the borders of motions.

    Args:
        forward, backward: (H, W, 2) float32 flows to the next frame and back, pixels.
    """
    back = _along(backward, forward)
    hidden = _length2(forward + back) > 0.01 * (_length2(forward) + _length2(back)) + 0.5
    change = np.zeros(forward.shape[:2], np.float32)
    change[:, :-1] += _length2(np.diff(forward, axis=1))
    change[:-1] += _length2(np.diff(forward, axis=0))
    return ~(hidden | (change > 0.01 * _length2(forward) + 0.002))


def _along(values: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """``values`` at p + flow(p), bilinear; beyond the border, the border's."""
    height, width = flow.shape[:2]
    columns = flow[..., 0] + np.arange(width, dtype=np.float32)
    rows = flow[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    return cv2.remap(np.ascontiguousarray(values), columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _length2(vectors: np.ndarray) -> np.ndarray:
    return np.square(vectors).sum(axis=-1)
