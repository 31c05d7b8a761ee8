"""Learned perceptual distance (Zhang, Isola, Efros, Shechtman, Wang 2018): LPIPS v0.1 with SqueezeNet, without unit."""

from __future__ import annotations

import numpy as np

from understudy.metrics.evaluator import load_evaluator, missing_evaluator
from understudy.metrics.picture import check_mask, check_pictures

WEIGHTS = "lpips_squeeze_v0.1.onnx"


def missing_lpips() -> str | None:
    """None when LPIPS can be measured here, otherwise a sentence that says what to do."""
    return missing_evaluator(WEIGHTS)


def lpips(picture: np.ndarray, truth: np.ndarray, *, mask: np.ndarray | None = None) -> float:
    """The distance of the two pictures; 0 for equal ones, about 0.1 for a slight blur, more is farther.

    Args:
        picture, truth: float (H, W, 3), RGB in view space, range [0, 1] (values outside are clipped, as the network
            expects).
        mask: float (H, W) weights in [0, 1]. What lies outside is taken from ``truth`` before the comparison, so only
            the masked part can differ; the distance stays a mean over the whole picture, smaller than that of the part
            alone.

    Raises:
        InternalError: shapes differ, or the mask is empty.
        WeightsError: the network's file is not at hand.
    """
    picture, truth = check_pictures(picture, truth)
    if mask is not None:
        weights = check_mask(mask, picture)[:, :, None]
        picture = truth + weights * (picture - truth)
    session = load_evaluator(WEIGHTS)
    inputs = {"a": _signed(picture), "b": _signed(truth)}
    return float(np.asarray(session.run(None, inputs)[0]).reshape(-1)[0])


def _signed(picture: np.ndarray) -> np.ndarray:
    """(1, 3, H, W) float32 in [-1, 1]."""
    return (np.clip(picture, 0, 1) * 2 - 1).astype(np.float32).transpose(2, 0, 1)[None]
