"""The face models, where this machine has them, and a few pictures of invented people."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.errors import WeightsError
from understudy.faces.detect import FaceDetector
from understudy.faces.landmarks import LandmarkModel
from understudy.faces.models import FaceModels, find_models

DATA = Path(__file__).parent / "data"


def read_picture(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB."""
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


@pytest.fixture(scope="session")
def models() -> FaceModels:
    try:
        return find_models()
    except WeightsError as error:
        pytest.skip(f"Needs the face models: {error}")


@pytest.fixture(scope="session")
def detector(models: FaceModels) -> FaceDetector:
    return FaceDetector(models)


@pytest.fixture(scope="session")
def model(models: FaceModels) -> LandmarkModel:
    return LandmarkModel(models)


@pytest.fixture(scope="session")
def pictures() -> dict[str, np.ndarray]:
    return {path.name: read_picture(path) for path in sorted(DATA.glob("*.jpg"))}


@pytest.fixture(scope="session")
def truth() -> dict[str, dict]:
    """Pose and 70 landmarks (68 and pupils) that the pictures were rendered with."""
    return json.loads((DATA / "truth.json").read_text())


@pytest.fixture(scope="session")
def reference() -> dict[str, dict]:
    """What MediaPipe itself measures on the pictures."""
    return json.loads((DATA / "mediapipe.json").read_text())
