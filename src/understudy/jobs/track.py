"""The faces of a clip, followed, stabilised and smoothed once, and kept: gathering and swapping both start here."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from understudy import faces as faces_package
from understudy.faces.align import CropTransform, canonical_transform, fit_mesh
from understudy.faces.face import Face
from understudy.faces.landmarks import eight_bit
from understudy.faces.topology import STABLE
from understudy.jobs.clip_faces import ClipFaces, Jitter
from understudy.jobs.options_track import TrackOptions
from understudy.media.clip import Clip
from understudy.media.colour import ColourSpace
from understudy.media.frame import Frame
from understudy.media.pattern import Pattern
from understudy.provenance.record import files_sha256, path_sha256

Progress = Callable[[str, int, int | None], None]


class FaceFinder(Protocol):
    """What finds faces; :class:`MediaPipeFinder`, or a stand-in for tests."""

    @property
    def weights(self) -> Mapping[str, str]:
        """Files of weights and their sha256; part of the cache's key and of run records."""
        ...

    def follow(self, frames: Iterable[tuple[int, np.ndarray]]) -> Iterator[tuple[int, list[Face]]]:
        """Faces of numbered pictures (H, W, 3) uint8 RGB, in order, with steady track numbers."""
        ...

    def stabilise(self, picture: np.ndarray, faces: Sequence[Face], perturbations: int) -> np.ndarray:
        """Landmarks (N, 478, 3) of a picture's faces, each averaged over moved crops."""
        ...


def track_clip(
    clip: Clip,
    *,
    options: TrackOptions | None = None,
    finder: FaceFinder | None = None,
    cache: Path | str | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> ClipFaces:
    """Find every face of ``clip`` with stabilised landmarks and crops that are steady over time.

    The result depends on the clip's content and range, the options and the face models, and on nothing else; a second
    call with the same ``cache`` reads what the first one wrote, and an interrupted one goes on. To render part of a
    shot, track all of it: smoothing looks at the neighbouring frames.

    Args:
        clip: an open clip. It is read through once, if the cache does not hold it yet.
        options: None for the defaults.
        finder: None for MediaPipe's models, found on this machine.
        cache: a folder for finished and half-finished tracks; None keeps them in a temporary file.
        progress: called with ("track" or "smooth", done, total).

    Raises:
        WeightsError: the face models are not on this machine.
        MediaError: a frame cannot be read.
        StorageError: the cache cannot be written; what is done stays.
    """
    options = options or TrackOptions()
    finder = finder or MediaPipeFinder(options)
    sha256 = clip_sha256(clip)
    key = _key(clip, sha256, options, finder)
    if cache is None:
        faces = _TemporaryFaces(sha256=sha256, rate=clip.rate)
    else:
        faces = ClipFaces(Path(cache) / f"{_stem(clip)}-{key[:20]}.sqlite", sha256=sha256, rate=clip.rate)
    try:
        if not faces.is_done("tracked"):
            _find(clip, faces, options, finder, progress)
            faces.set_done("tracked")
        if not faces.is_done("smoothed"):
            _smooth(faces, options, progress)
            faces.set_done("smoothed")
    except BaseException:
        faces.close()
        raise
    return faces


def clip_files(clip: Clip) -> list[Path]:
    """The files that a clip is read from: the movie or still, or the pictures of a sequence."""
    pattern = Pattern.of(clip.source) if clip.kind == "sequence" else None
    return [clip.source] if pattern is None else [pattern.file(number) for number in clip.numbers]


def clip_sha256(clip: Clip) -> str:
    """sha256 (hex) of a clip's content.

    Raises:
        MediaError: a file cannot be read.
    """
    files = clip_files(clip)
    return path_sha256(files[0]) if clip.kind != "sequence" else files_sha256(files)


def eight_bit_view(frame: Frame) -> np.ndarray:
    """A frame as the face models want it: (H, W, 3) uint8 RGB in view space."""
    if frame.pixels.dtype == np.uint8 and frame.colour == ColourSpace.DISPLAY and frame.channels[:3] == ("R", "G", "B"):
        return np.ascontiguousarray(frame.pixels[..., :3])
    return eight_bit(frame.view())


class MediaPipeFinder:
    """Faces by MediaPipe's models, run by LiteRT; they are loaded on first use."""

    def __init__(self, options: TrackOptions | None = None) -> None:
        from understudy.faces.models import find_models

        self._options = options or TrackOptions()
        self._models = find_models()

    @cached_property
    def _mesh(self):
        from understudy.faces.landmarks import LandmarkModel

        return LandmarkModel(self._models)

    @property
    def weights(self) -> Mapping[str, str]:
        """Files of weights and their sha256."""
        return {str(path): sha256 for path, sha256 in self._models.files.items()}

    def follow(self, frames: Iterable[tuple[int, np.ndarray]]) -> Iterator[tuple[int, list[Face]]]:
        """See :class:`FaceFinder`."""
        from understudy.faces.detect import FaceDetector
        from understudy.faces.track import FaceTracker

        detector = FaceDetector(self._models, threshold=self._options.threshold, tiles=self._options.tiles)
        tracker = FaceTracker(detector, self._mesh)
        for number, picture in frames:
            yield number, tracker.step(picture)

    def stabilise(self, picture: np.ndarray, faces: Sequence[Face], perturbations: int) -> np.ndarray:
        """See :class:`FaceFinder`."""
        from understudy.faces.stabilise import stabilise_all

        meshes = [face.landmarks for face in faces]
        return stabilise_all(picture, meshes, self._mesh, perturbations=perturbations).mean(axis=1)


class _TemporaryFaces(ClipFaces):
    """Faces in a temporary file that goes when it is closed."""

    def __init__(self, **about) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="understudy-")
        super().__init__(Path(self._folder.name) / "faces.sqlite", **about)

    def close(self) -> None:
        super().close()
        self._folder.cleanup()


def _find(clip: Clip, faces: ClipFaces, options: TrackOptions, finder: FaceFinder, progress: Progress) -> None:
    # From the first frame on, even when resuming: the region in which a mesh is measured follows from the frame before,
    # so starting in the middle would give slightly other numbers. What costs most, stabilising, is done once a frame.
    done = faces.frames_done()
    current: dict[int, tuple[Frame, np.ndarray]] = {}

    def pictures() -> Iterator[tuple[int, np.ndarray]]:
        for frame in clip:
            current.clear()
            current[frame.number] = frame, eight_bit_view(frame)
            yield frame.number, current[frame.number][1]

    for place, (number, found) in enumerate(finder.follow(pictures())):
        if number not in done:
            frame, picture = current[number]
            faces.add_frame(number, place, float(frame.time), _settle(picture, found, options, finder))
        progress("track", place + 1, len(clip))


def _settle(
    picture: np.ndarray, found: Sequence[Face], options: TrackOptions, finder: FaceFinder
) -> list[tuple[Face, CropTransform, np.ndarray]]:
    """Every face with steady landmarks, its crop, and as first measured (P + 4, 2) its stable points and corners."""
    if not found:
        return []
    raw = [np.concatenate([face.landmarks[STABLE, :2], canonical_transform(face).corners()]) for face in found]
    if options.stabilise:
        meshes = finder.stabilise(picture, found, options.perturbations)
        found = [
            replace(face, landmarks=mesh, pose=fit_mesh(mesh).pose) for face, mesh in zip(found, meshes, strict=True)
        ]
    return [(face, canonical_transform(face), first) for face, first in zip(found, raw, strict=True)]


def _smooth(faces: ClipFaces, options: TrackOptions, progress: Progress) -> None:
    from understudy.faces.stabilise import jitter
    from understudy.faces.steady import smooth_alignment

    for index, track in enumerate(faces.raw_tracks(STABLE)):
        smooth = smooth_alignment(track.times, track.params) if options.smooth else track.params
        series = (track.raw_points, track.points, track.raw_corners, _corners(smooth))
        figures = [jitter(points, numbers=track.numbers.tolist()) for points in series]
        faces.set_track(track, smooth, Jitter.of(figures))
        progress("smooth", index + 1, None)


def _corners(params: np.ndarray) -> np.ndarray:
    """(T, 4, 2) plate pixels of crops given by (T, 4) params."""
    return np.stack([CropTransform.from_params(*row).corners() for row in params])


def _key(clip: Clip, sha256: str, options: TrackOptions, finder: FaceFinder) -> str:
    facts = {
        "clip": sha256,
        "frames": hashlib.sha256(json.dumps(list(clip.numbers)).encode()).hexdigest(),
        "colour": str(clip.colour),
        "options": asdict(options),
        "weights": sorted(finder.weights.values()),
        "method": _method(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@cache
def _method() -> str:
    """sha256 of the code that finds and steadies faces: tracks made by an older one are left aside."""
    sources = sorted(Path(faces_package.__file__ or "").parent.rglob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in [*sources, Path(__file__)])).hexdigest()


def _stem(clip: Clip) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in clip.source.stem)[:48] or "clip"
