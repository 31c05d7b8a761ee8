"""The frames of a shot, one after another: crop, generate, grade, composite.

A frame's result depends on the plate, on its own faces and, through the steadied grade, on the frames up to
``steady`` before and after it; never on where a run began, on what was done before, or on how crops were batched.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

import numpy as np

from understudy.composite.face import FacePatch, composite_patch, fit_face_grade
from understudy.composite.grade import Grade, apply_grade
from understudy.composite.matte import OcclusionHook
from understudy.composite.options import OWN_DETAIL_SIZE, CompositeOptions
from understudy.composite.own_detail import OwnDetail
from understudy.composite.regions import lay_regions
from understudy.composite.steady import steady_grade
from understudy.dataset.pictures import resized
from understudy.faces.align import CropTransform
from understudy.family import Performer
from understudy.jobs.clip_faces import TrackedFace
from understudy.media.clip import Clip
from understudy.media.frame import Frame
from understudy.perform.regions import scaled
from understudy.perform.swap import BATCH, CropFace, FacePerformer, SwappedFace, swap_crops

if TYPE_CHECKING:
    from understudy.faces.landmarks import LandmarkModel

_MARGIN = 8  # plate pixels around a crop, for the sampling's kernel
_WAITING = 2 * BATCH  # frames held at most while a batch fills up


class Plan(Protocol):
    """Which faces to swap: by frame number, the frames that have any. A dictionary of lists will do."""

    def __contains__(self, number: int, /) -> bool: ...

    def __getitem__(self, number: int, /) -> Sequence[TrackedFace]: ...


class MeshMeasure(Protocol):
    """Finds the mesh of generated faces."""

    def __call__(self, crops: Sequence[np.ndarray], near: Sequence[np.ndarray]) -> list[np.ndarray | None]:
        """Meshes (478, 2 or 3) in crop pixels, None where no face is seen.

        Args:
            crops: each (size, size, 3) uint8 RGB.
            near: for each the plate's mesh (478, 3) in crop pixels: the face is about there.
        """
        ...


def mesh_measure(model: LandmarkModel) -> MeshMeasure:
    """A mesh model on generated crops; the region is the plate's own face, so no detector is needed."""
    from understudy.faces.landmarks import roi_from_landmarks

    def measure(crops: Sequence[np.ndarray], near: Sequence[np.ndarray]) -> list[np.ndarray | None]:
        if not len(crops):
            return []
        regions = np.stack([roi_from_landmarks(mesh) for mesh in near])
        meshes, presence = model.landmarks_of(crops, regions)
        return [mesh if sure >= 0.5 else None for mesh, sure in zip(meshes, presence, strict=True)]

    return measure


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How faces are made and laid in; see :class:`understudy.jobs.options_swap.SwapOptions`."""

    performer: Performer | FacePerformer
    identity: str
    composite: CompositeOptions
    steady: int = 0
    measure: MeshMeasure | None = None
    outline: bool = True
    """Stop at the generated face's outline, where ``measure`` finds it."""
    own_detail: OwnDetail | None = None
    """The identity's own fine detail; needs ``measure``."""
    occlusion: OcclusionHook | None = None
    raw: bool = False
    """Keep the unblended faces for a layer."""


@dataclass(frozen=True, kw_only=True)
class ShotFrame:
    """A finished frame. ``patches`` are in plate pixels and empty where nothing was swapped."""

    plate: Frame
    result: Frame
    patches: tuple[FacePatch, ...]
    grades: tuple[Grade, ...]


@dataclass(kw_only=True)
class Seconds:
    """Time spent by stage."""

    perform: float = 0.0
    composite: float = 0.0


@dataclass(kw_only=True)
class _Work:
    """One face of one frame under way."""

    found: TrackedFace
    window: tuple[int, int, int, int]
    transform: CropTransform
    landmarks: np.ndarray
    crop: np.ndarray
    composite: CompositeOptions
    swapped: SwappedFace | None = None
    outline: np.ndarray | None = None


@dataclass(kw_only=True)
class _Pending:
    frame: Frame
    works: list[_Work] = field(default_factory=list)


def swap_frames(clip: Clip, plan: Plan, todo: Iterable[int], recipe: Recipe, seconds: Seconds) -> Iterator[ShotFrame]:
    """Make the frames ``todo``, in order.

    Args:
        clip: the whole plate.
        plan: the faces to swap, for the whole plate.
        todo: numbers of the frames to make.
        seconds: added to.

    Yields:
        One finished frame for every number of ``todo``; at most ``2 * steady`` + 16 frames are in memory.
    """
    wanted = set(todo)
    needed = _needed(clip, plan, wanted, recipe.steady)
    grades: dict[int, dict[int, Grade]] = {}
    ahead: deque[_Pending] = deque()

    def finished(until: float) -> Iterator[ShotFrame]:
        while ahead and ahead[0].frame.number < until:
            pending = ahead.popleft()
            number = pending.frame.number
            if number in wanted:
                started = perf_counter()
                shot = _composite(pending, recipe, grades)
                seconds.composite += perf_counter() - started
                yield shot
            for of_track in grades.values():
                for old in [other for other in of_track if other <= number - recipe.steady]:
                    del of_track[old]

    for pending in _performed(clip, needed, plan, recipe, seconds):
        started = perf_counter()
        for work in pending.works:
            number, track = pending.frame.number, work.found.face.track
            grades.setdefault(track, {})[number] = _fit(pending.frame, work, recipe)
        seconds.composite += perf_counter() - started
        ahead.append(pending)
        yield from finished(pending.frame.number - recipe.steady + 1)
    yield from finished(float("inf"))


def read_frames(clip: Clip, numbers: Sequence[int]) -> Iterator[Frame]:
    """The frames with these numbers, in order: a movie is read through, a sequence only where it is needed."""
    if clip.kind != "movie":
        yield from (clip.frame(number) for number in numbers)
        return
    wanted = set(numbers)
    for frame in clip if wanted else ():
        if frame.number in wanted:
            yield frame
        if frame.number >= numbers[-1]:
            return


def face_crop(frame: Frame, transform: CropTransform, size: int) -> np.ndarray:
    """A face of a frame as networks see it: (size, size, 3) float32 RGB in [0, 1], view space."""
    window = _window(frame, transform)
    return np.clip(_shifted(transform, window).to_crop(_view(frame, window), size), 0.0, 1.0)


def _needed(clip: Clip, plan: Plan, wanted: set[int], steady: int) -> list[int]:
    """Wanted frames, and those whose grades count for them."""
    near = {
        other
        for number in wanted
        if number in plan
        for other in range(number - steady, number + steady + 1)
        if other in plan
    }
    return [number for number in clip.numbers if number in wanted or number in near]


def _performed(
    clip: Clip,
    needed: Sequence[int],
    plan: Plan,
    recipe: Recipe,
    seconds: Seconds,
) -> Iterator[_Pending]:
    """Every needed frame with its generated faces."""
    waiting: list[_Pending] = []
    for frame in read_frames(clip, needed):
        pending = _Pending(frame=frame)
        faces = plan[frame.number] if frame.number in plan else ()  # noqa: SIM401  # a plan need not be a dictionary
        for found in faces:
            own = crop_transform(found, recipe.performer)
            window = _window(frame, own)
            x0, y0, _, _ = window
            transform = _shifted(own, window)
            crop = np.clip(transform.to_crop(_view(frame, window), recipe.performer.size), 0.0, 1.0)
            landmarks = found.face.landmarks - np.array([x0, y0, 0], np.float32)
            pending.works.append(
                _Work(
                    found=found,
                    window=window,
                    transform=transform,
                    landmarks=landmarks,
                    crop=crop,
                    composite=recipe.composite,
                )
            )
        waiting.append(pending)
        if sum(len(one.works) for one in waiting) >= BATCH or len(waiting) >= _WAITING:
            _generate(waiting, recipe, seconds)
            yield from waiting
            waiting = []
    _generate(waiting, recipe, seconds)
    yield from waiting


def _generate(waiting: Sequence[_Pending], recipe: Recipe, seconds: Seconds) -> None:
    started = perf_counter()
    works = [work for pending in waiting for work in pending.works]
    crops = ((work, work.crop) for work in works)
    numbers = {id(work): pending.frame.number for pending in waiting for work in pending.works}
    face_of = lambda work: crop_face(numbers[id(work)], work.found)  # noqa: E731
    for work, swapped in swap_crops(crops, performer=recipe.performer, identity=recipe.identity, face_of=face_of):
        work.swapped = swapped
    if recipe.measure is not None and works:
        pictures = [np.round(work.swapped.crop * 255).astype(np.uint8) for work in works if work.swapped]
        near = [work.transform.points_to_crop(work.landmarks, recipe.performer.size) for work in works]
        for work, mesh in zip(works, recipe.measure(pictures, near), strict=True):
            if mesh is not None:
                _finish(work, mesh[:, :2] / np.float32(recipe.performer.size), recipe)
    seconds.perform += perf_counter() - started


def _finish(work: _Work, mesh: np.ndarray, recipe: Recipe) -> None:
    """What the generated face's mesh (478, 2), in the crop's unit square, is good for: own detail and outline."""
    swapped, options = work.swapped, recipe.composite
    assert swapped is not None
    if recipe.own_detail is not None and options.own_detail > 0:
        crop = recipe.own_detail.add(
            swapped.crop,
            mesh,
            strength=options.own_detail,
            detail_size=OWN_DETAIL_SIZE if options.own_detail_size is None else options.own_detail_size,
        )
        size = crop.shape[0]
        matte = swapped.matte if swapped.matte is None else resized(swapped.matte, size)
        work.swapped = SwappedFace(crop=crop, matte=matte)
        if options.skin_detail is None:
            # The plate's skin over the performer's own would be a third person's.
            work.composite = replace(options, skin_detail=0.0)
    if recipe.outline:
        work.outline = mesh * np.float32(work.swapped.crop.shape[0])  # type: ignore[union-attr]


def _fit(frame: Frame, work: _Work, recipe: Recipe) -> Grade:
    assert work.swapped is not None
    return fit_face_grade(
        _view(frame, work.window),
        work.swapped.crop,
        work.swapped.matte,
        work.transform,
        work.landmarks,
        work.composite,
        generated_landmarks=work.outline,
        occlusion=recipe.occlusion,
    )


def _composite(pending: _Pending, recipe: Recipe, grades: Mapping[int, Mapping[int, Grade]]) -> ShotFrame:
    frame, patches, used = pending.frame, [], []
    for work in pending.works:
        assert work.swapped is not None
        grade = steady_grade(grades[work.found.face.track], frame.number, radius=recipe.steady)
        patch = _laid_regions(frame, work, recipe, grade) or composite_patch(
            _view(frame, work.window),
            work.swapped.crop,
            work.swapped.matte,
            work.transform,
            work.landmarks,
            work.composite,
            generated_landmarks=work.outline,
            occlusion=recipe.occlusion,
            grade=grade,
            raw=recipe.raw,
        )
        left, top, _, _ = work.window
        x0, y0, x1, y1 = patch.box
        box = (x0 + left, y0 + top, x1 + left, y1 + top)
        frame = _lay_in(frame, patch, box)
        patches.append(replace(patch, box=box))
        used.append(grade)
    return ShotFrame(plate=pending.frame, result=frame, patches=tuple(patches), grades=tuple(used))


def _laid_regions(frame: Frame, work: _Work, recipe: Recipe, grade: Grade) -> FacePatch | None:
    """The face of a performer that says where it goes, laid in by its own matte; None for other performers."""
    if not isinstance(recipe.performer, FacePerformer):
        return None
    assert work.swapped is not None and work.swapped.matte is not None
    matte = work.swapped.matte
    if recipe.occlusion is not None:
        points = work.transform.points_to_crop(work.landmarks, recipe.performer.size)
        matte = matte * np.clip(recipe.occlusion(work.crop, points[:, :2]), 0, 1)
    return lay_regions(
        _view(frame, work.window),
        np.clip(apply_grade(work.swapped.crop, grade), 0, 1),
        work.transform,
        matte,
        blend=recipe.performer.seam,  # type: ignore[arg-type]
        raw=recipe.raw,
    )


def crop_transform(found: TrackedFace, performer: Performer | FacePerformer) -> CropTransform:
    """The crop of a face that a performer wants: the house's own, or with more of the head around it."""
    return scaled(found.transform, performer.oval_share) if isinstance(performer, FacePerformer) else found.transform


def crop_face(number: int, found: TrackedFace) -> CropFace:
    """Whose crop it is."""
    return CropFace(number=number, track=found.face.track, landmarks=found.face.landmarks)


def _lay_in(frame: Frame, patch: FacePatch, box: tuple[int, int, int, int]) -> Frame:
    x0, y0, x1, y1 = box
    height, width = frame.pixels.shape[:2]
    view, where = np.zeros((height, width, 3), np.float32), np.zeros((height, width), bool)
    view[y0:y1, x0:x1] = patch.view
    where[y0:y1, x0:x1] = patch.matte > 0
    return frame.with_view(view, where)


def _window(frame: Frame, transform: CropTransform) -> tuple[int, int, int, int]:
    """The crop's box in the plate, cut at the plate's edges; at least one pixel."""
    width, height = frame.size
    corners = transform.corners()
    low = np.clip(np.floor(corners.min(axis=0)).astype(int) - _MARGIN, 0, (width - 1, height - 1))
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + _MARGIN, low + 1, (width, height))
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _view(frame: Frame, window: tuple[int, int, int, int]) -> np.ndarray:
    x0, y0, x1, y1 = window
    return replace(frame, pixels=frame.pixels[y0:y1, x0:x1], original=None).view()


def _shifted(transform: CropTransform, window: tuple[int, int, int, int]) -> CropTransform:
    matrix = np.array(transform.matrix)
    matrix[:, 2] += matrix[:, :2] @ window[:2]
    return CropTransform(matrix=matrix)
