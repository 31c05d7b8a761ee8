"""How much two pictures show the same person: cosine of MobileFaceNet embeddings, -1 to 1.

Network: foamliu's MobileFaceNet trained on MS-Celeb-1M (Chen, Liu, Gao, Han 2018), 128 numbers a face. On real
portraits the same person reaches 0.56 on average, and 99.9% of pairs of different people stay below 0.39; 0.40 is a
fair threshold.
"""

from __future__ import annotations

import cv2
import numpy as np

from understudy.errors import InternalError
from understudy.metrics.evaluator import load_evaluator, missing_evaluator

WEIGHTS = "mobilefacenet_foamliu.onnx"
SIDE = 112  # pixels

# ArcFace's five points in a 112 x 112 picture: the eye at the picture's left, the other, nose tip, mouth corners.
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float64
)
# The same five among the 478 landmarks; an eye is the middle of its corners.
_LEFT_EYE, _RIGHT_EYE, _NOSE_TIP, _MOUTH = (33, 133), (362, 263), 1, (61, 291)

_MEAN, _DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # ImageNet's, RGB


def missing_identity() -> str | None:
    """None when identity can be measured here, otherwise a sentence that says what to do."""
    return missing_evaluator(WEIGHTS)


def five_points(landmarks: np.ndarray) -> np.ndarray:
    """Eyes, nose tip and mouth corners (5, 2) from landmarks (478, 2 or 3), same pixels."""
    points = np.asarray(landmarks, np.float64)[:, :2]
    eyes = [points[list(corners)].mean(axis=0) for corners in (_LEFT_EYE, _RIGHT_EYE)]
    return np.stack([*eyes, points[_NOSE_TIP], *points[list(_MOUTH)]])


def similarity_to_template(points: np.ndarray) -> np.ndarray:
    """The scale, turn and shift (2, 3) that bring five points nearest to :data:`TEMPLATE` (Umeyama 1991).

    Written with complex numbers: ``w = a z + b``, whose least-squares ``a`` is a mean of products; a reflection cannot
    come out.
    """
    z = points[:, 0] + 1j * points[:, 1]
    w = TEMPLATE[:, 0] + 1j * TEMPLATE[:, 1]
    spread = z - z.mean()
    if not np.abs(spread).sum() > 0:
        raise InternalError("the five points of a face lie on one spot")
    a = (np.conj(spread) * (w - w.mean())).sum() / (np.abs(spread) ** 2).sum()
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def embed(picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The face's embedding, float64 (128,), of length 1: the sum of the network's answers for the picture and its
    mirror image.

    Args:
        picture: float (H, W, 3), RGB in view space, range [0, 1].
        landmarks: (478, 2 or 3), the picture's pixels.

    Raises:
        WeightsError: the network's file is not at hand.
    """
    # The template counts from the centre of the first pixel, as OpenCV does; our points count from its corner.
    matrix = similarity_to_template(five_points(landmarks) - 0.5)
    crop = cv2.warpAffine(np.clip(picture, 0, 1).astype(np.float32), matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR)
    session = load_evaluator(WEIGHTS)
    name = session.get_inputs()[0].name
    total = np.zeros(128)
    for view in (crop, crop[:, ::-1]):
        tensor = ((view - _MEAN) / _DEVIATION).astype(np.float32).transpose(2, 0, 1)[None]
        total += np.asarray(session.run(None, {name: tensor})[0], np.float64).reshape(-1)
    return total / np.linalg.norm(total)


def similarity(embedding: np.ndarray, other: np.ndarray) -> float:
    """Cosine of two embeddings, -1 to 1."""
    return float(np.dot(embedding, other) / (np.linalg.norm(embedding) * np.linalg.norm(other)))


def mean_embedding(embeddings: np.ndarray) -> np.ndarray:
    """One embedding (128,) of length 1 for a person of whom there are several (N, 128)."""
    mean = np.asarray(embeddings, np.float64).mean(axis=0)
    return mean / np.linalg.norm(mean)
