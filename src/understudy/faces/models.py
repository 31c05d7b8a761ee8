"""The foreign face models, found on this machine and read into memory."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from understudy.errors import WeightsError
from understudy.provenance import weights


@dataclass(frozen=True, kw_only=True)
class FaceModels:
    """The bytes of the face models and where they came from; pass it to a detector and a landmark model.

    Attributes:
        detector: short-range BlazeFace, 128x128.
        mesh: the 478-point mesh (256x256) or the older 468-point one (192x192).
        has_iris: the mesh itself measures the ten iris points.
        iris: a separate iris model for a mesh without, or None.
        blendshapes: 146 points to 52 blendshapes, or None.
        origin: "task" (Google's face_landmarker.task) or "wheel" (the older files).
        files: the files these came from with their sha256, for run records.
    """

    detector: bytes = field(repr=False)
    mesh: bytes = field(repr=False)
    has_iris: bool
    iris: bytes | None = field(default=None, repr=False)
    blendshapes: bytes | None = field(default=None, repr=False)
    origin: str
    files: dict[Path, str] = field(default_factory=dict)


def find_models() -> FaceModels:
    """The best face models on this machine: the official task file, else the older ones. Nothing is downloaded.

    Raises:
        WeightsError: neither is here, or a file is damaged.
    """
    if weights.locate("face-landmarker"):
        return _from_task(weights.find("face-landmarker"))
    if weights.locate("face-landmark") and weights.locate("face-detection-short-range"):
        return _from_wheel()
    raise WeightsError(
        "The face models are not on this machine; run `understudy weights pull faces`, or put face_landmarker.task into a folder "
        "and name that folder in the environment variable UNDERSTUDY_MODELS."
    )


def _from_task(path: Path) -> FaceModels:
    try:
        with zipfile.ZipFile(path) as archive:
            return FaceModels(
                detector=archive.read("face_detector.tflite"),
                mesh=archive.read("face_landmarks_detector.tflite"),
                blendshapes=archive.read("face_blendshapes.tflite"),
                has_iris=True,
                origin="task",
                files={path: weights.get("face-landmarker").sha256},
            )
    except (zipfile.BadZipFile, KeyError) as error:
        raise WeightsError(
            f"{path} is damaged ({error}); remove it and run `understudy weights pull faces`."
        ) from error


def _from_wheel() -> FaceModels:
    names = ["face-detection-short-range", "face-landmark"]
    if weights.locate("iris-landmark"):
        names.append("iris-landmark")
    paths = {name: weights.find(name) for name in names}
    iris = paths.get("iris-landmark")
    return FaceModels(
        detector=paths["face-detection-short-range"].read_bytes(),
        mesh=paths["face-landmark"].read_bytes(),
        has_iris=False,
        iris=iris.read_bytes() if iris else None,
        origin="wheel",
        files={path: weights.get(name).sha256 for name, path in paths.items()},
    )
