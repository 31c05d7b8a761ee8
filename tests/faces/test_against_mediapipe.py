"""Our numbers beside MediaPipe's own."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest

from understudy.faces.blendshapes import NAMES, BlendshapeModel
from understudy.faces.detect import FaceDetector
from understudy.faces.landmarks import LandmarkModel, roi_from_detection
from understudy.faces.models import FaceModels

from .conftest import read_picture
from .mediapipe_reference import measure


def differences(picture: np.ndarray, theirs: np.ndarray, detector: FaceDetector, model: LandmarkModel) -> np.ndarray:
    """(478,) distances from MediaPipe's landmarks as share of the outer eye corners' distance, by MediaPipe's own procedure.

    MediaPipe samples the region between pixel centres and reads the result between pixel corners, so its points lie half a pixel of
    the 256-pixel view too far right and down; a mirrored picture shows it. That shift is taken out here.
    """
    detection = detector.detect([picture], tiles="none")[0][0]
    roi = roi_from_detection(detection)
    ours = model.landmarks(picture, roi[None])[0][0]
    shift = (roi[2] / model.side - 1.0) / 2
    between = np.linalg.norm(theirs[33] - theirs[263])
    return np.linalg.norm(ours[:, :2] + shift - theirs[:, :2], axis=1) / between


def test_landmarks_agree_with_mediapipe(models, detector, model, pictures, reference):
    if models.origin != "task":
        pytest.skip("Only the official task file measures the same 478 points as MediaPipe's package.")
    for name, picture in pictures.items():
        distance = differences(picture, np.array(reference[name]["landmarks"]), detector, model)
        assert distance.mean() < 0.012, name
        assert distance.max() < 0.05, name


def test_older_mesh_is_near_the_newer_one(models, detector, model, pictures, reference):
    if models.origin != "wheel":
        pytest.skip("The official task file is at hand, so the older models are not in use.")
    for name, picture in pictures.items():
        distance = differences(picture, np.array(reference[name]["landmarks"]), detector, model)
        assert distance.mean() < 0.06, name


def test_blendshapes_agree_with_mediapipe(models: FaceModels, reference):
    if models.blendshapes is None:
        pytest.skip("The older face models, which are at hand, hold no blendshapes.")
    shapes = BlendshapeModel(models).blendshapes(np.array([row["landmarks"] for row in reference.values()]))
    assert shapes.shape == (len(reference), len(NAMES)) == (len(reference), 52)
    assert np.abs(shapes - np.array([row["blendshapes"] for row in reference.values()])).max() < 0.005


@pytest.mark.real
def test_landmarks_agree_with_mediapipe_on_photographs(models, detector, model):
    """On a folder of portraits that UNDERSTUDY_STILLS names, one face each.

    MediaPipe's numbers are measured on the spot where its package is installed, else read from the file that
    UNDERSTUDY_STILLS_REFERENCE names (written by mediapipe_reference.py).
    """
    folder = os.environ.get("UNDERSTUDY_STILLS")
    if not folder:
        pytest.skip("Set UNDERSTUDY_STILLS to a folder of portraits to compare with MediaPipe on photographs.")
    if models.origin != "task":
        pytest.skip("Only the official task file measures the same 478 points as MediaPipe's package.")
    paths = sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    stored = os.environ.get("UNDERSTUDY_STILLS_REFERENCE")
    if importlib.util.find_spec("mediapipe"):
        reference = measure(next(iter(models.files)), paths)
    elif stored:
        reference = json.loads(Path(stored).read_text())
    else:
        pytest.skip("Neither is the package mediapipe installed nor does UNDERSTUDY_STILLS_REFERENCE name its numbers.")
    found = [path for path in paths if path.name in reference]
    assert found
    distances = np.array(
        [
            differences(read_picture(path), np.array(reference[path.name]["landmarks"]), detector, model)
            for path in found
        ]
    )
    assert distances.mean() < 0.008
    assert distances.max() < 0.08
