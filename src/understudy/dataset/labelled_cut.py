"""Whole labelled pictures to a folder of canonical crops, once, before a training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from understudy.dataset.labelled import Labelled, write_folder
from understudy.dataset.pictures import encode_png
from understudy.errors import DatasetError
from understudy.faces.align import canonical_transform
from understudy.provenance.atomic import write_bytes

Find = Callable[[np.ndarray], np.ndarray | None]
"""(H, W, 3) uint8 RGB -> (478, 3) landmarks of the face that is meant, or None where none is found."""
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class CutReport:
    """What was cut."""

    folder: Path
    entries: tuple[Labelled, ...]
    faceless: tuple[str, ...]
    """Names of the pictures that were left out because no face was found or the file is no picture."""


def cut_labelled(
    entries: Sequence[Labelled],
    folder: Path,
    *,
    find: Find | None = None,
    side: int = 160,
    oval_share: float = 0.5,
    progress: Progress = lambda *_: None,
) -> CutReport:
    """Cut every picture's largest face and write the folder that :mod:`understudy.dataset.labelled` describes.

    Crops that are there already are kept, so a stopped run goes on; pictures of one person and set-up are cut alike, by the
    first of them, so that nothing but the expression moves between them.

    Args:
        find: the face finder; None for MediaPipe's models.
        side: the crops' side, pixels.
        oval_share: see :func:`understudy.faces.align.canonical_transform`.

    Raises:
        DatasetError: no face in any of them.
        WeightsError: the face models are not at hand.
    """
    find = find or largest_face_finder()
    transforms, kept, faceless = {}, [], []
    for done, entry in enumerate(entries):
        progress("cut", done, len(entries))
        name = f"{entry.picture.stem}_{done:06d}.png"
        target = folder / "pictures" / name
        alike = (entry.person, entry.setup) if entry.setup else None
        if not target.is_file() or (alike is not None and alike not in transforms):
            picture = _read(entry.picture)
            transform = transforms.get(alike)
            if transform is None and picture is not None and (points := find(picture)) is not None:
                transform = canonical_transform(points, oval_share=oval_share)
            if picture is None or transform is None:
                faceless.append(entry.picture.name)
                continue
            if alike is not None:
                transforms[alike] = transform
            if not target.is_file():
                write_bytes(target, encode_png(transform.to_crop(picture, side)))
        kept.append(replace(entry, picture=target))
    progress("cut", len(entries), len(entries))
    if not kept:
        raise DatasetError(f"None of the {len(entries)} pictures shows a face that could be found.")
    write_folder(folder, kept)
    return CutReport(folder=folder, entries=tuple(kept), faceless=tuple(faceless))


def largest_face_finder() -> Find:
    """MediaPipe's models as a finder of a picture's largest face."""
    from understudy.faces.detect import FaceDetector
    from understudy.faces.landmarks import LandmarkModel
    from understudy.faces.measure import measure_faces
    from understudy.faces.models import find_models

    models = find_models()
    detector, mesh = FaceDetector(models), LandmarkModel(models)

    def find(picture: np.ndarray) -> np.ndarray | None:
        faces = measure_faces(picture, detector, mesh) if min(picture.shape[:2]) >= 16 else []
        return faces[0].landmarks if faces else None

    return find


def _read(path: Path) -> np.ndarray | None:
    import cv2

    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError:
        return None
    pixels = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    return None if pixels is None else np.ascontiguousarray(pixels[..., ::-1])
