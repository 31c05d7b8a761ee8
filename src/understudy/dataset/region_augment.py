"""A picture with its regions and mesh, as a parser's training crop: moved, disguised, lit and photographed anew."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from understudy.dataset import region_disguises as disguises
from understudy.faces.align import CropTransform, canonical_transform
from understudy.faces.warp import transform_points, warp


@dataclass(frozen=True, kw_only=True)
class RegionCrop:
    """A training crop.

    Attributes:
        picture: (s, s, 3) uint8 RGB, view colour space.
        regions: (s, s) uint8.
        known: (s, s) bool; False outside the source picture, where nobody knows.
        points: (478, 2) float32 crop pixels.
    """

    picture: np.ndarray
    regions: np.ndarray
    known: np.ndarray
    points: np.ndarray


@dataclass(frozen=True, kw_only=True)
class RegionAugment:
    """How far and how often a training crop is changed. All zero: the plain crop."""

    zoom: float = 0.25
    """Deviation of the face's size, as a power of e; the parser also reads wide crops for long hair."""
    shift: float = 0.05
    """Deviation of the place, as share of the side."""
    rotation: float = 10.0
    """Deviation, degrees."""
    squeeze: float = 0.06
    """Deviation of width to height, as a power of e."""
    bend: float = 0.012
    """Deviation of a smooth bending of the whole picture, as share of the side."""
    disguise: float = 1.0
    """Factor on the chance of every disguise."""
    light: float = 1.0
    """Factor on changes of light and colour."""
    camera: float = 1.0
    """Factor on the chances of blur, noise and compression."""
    mesh: float = 0.012
    """Deviation of errors of the mesh, as share of the face's height."""


CHANCES = {
    disguises.repaint: 0.9,
    disguises.shave: 0.08,
    disguises.beard: 0.15,
    disguises.grow_hair: 0.6,
    disguises.new_place: 0.5,
    disguises.strands_across: 0.15,
    disguises.hat: 0.12,
    disguises.glasses: 0.2,
    disguises.occluder: 0.25,
}
"""What a person may wear, in the order in which it is put on, and how often."""


def cut(
    picture: np.ndarray, regions: np.ndarray, landmarks: np.ndarray, transform: CropTransform, size: int
) -> RegionCrop:
    """The crop of a picture and its regions, unchanged.

    Args:
        picture: (H, W, 3) uint8 RGB.
        regions: (H, W) uint8.
        landmarks: (478, 2 or 3) picture pixels.
    """
    matrix = transform.for_size(size)
    return RegionCrop(
        picture=warp(picture, matrix, (size, size)),
        regions=_nearest(regions, matrix, size),
        known=_nearest(np.ones(regions.shape, np.uint8), matrix, size) > 0,
        points=transform_points(matrix, landmarks[:, :2]).astype(np.float32),
    )


def augmented(
    picture: np.ndarray,
    regions: np.ndarray,
    landmarks: np.ndarray,
    *,
    size: int,
    oval_share: float,
    settings: RegionAugment,
    numbers: np.random.Generator,
) -> RegionCrop:
    """A crop of ``size`` pixels with everything changed that ``settings`` allow; arguments as for :func:`cut`."""
    transform = _moved(canonical_transform(landmarks, oval_share=oval_share), settings, numbers)
    crop = cut(picture, regions, landmarks, transform, size)
    if settings.bend > 0 and numbers.random() < 0.6:
        crop = _bent(crop, settings.bend, numbers)
    picture, regions, known = crop.picture, crop.regions, crop.known
    for disguise, chance in CHANCES.items():
        if numbers.random() < chance * settings.disguise:
            if disguise is disguises.new_place:
                # What lies beyond the source picture is this place, too: wide crops show little else.
                known = np.ones_like(known)
            if disguise is disguises.repaint:
                disguises.repaint(picture, regions, numbers)
            else:
                disguise(picture, regions, crop.points, numbers)  # type: ignore[call-arg]
    picture = lit(picture, settings.light, numbers)
    picture = photographed(picture, settings.camera, numbers)
    return RegionCrop(picture=picture, regions=regions, known=known, points=crop.points)


def mistaken(points: np.ndarray, settings: RegionAugment, numbers: np.random.Generator) -> np.ndarray:
    """Points (478, 2) of a mesh as a landmark model might have measured them: shifted, scaled, bent a little."""
    height = max(1.0, float(np.linalg.norm(points[10] - points[152])))
    middle = points.mean(0)
    low, high = points.min(0) - 1, points.max(0) + 1
    place = (points - low) / (high - low) * 4
    grid = numbers.standard_normal((6, 6, 2)) * settings.mesh * height * 0.7
    column, row = place.astype(int).T
    part_x, part_y = (place % 1).T[..., None]
    bend = (grid[row, column] * (1 - part_x) + grid[row, column + 1] * part_x) * (1 - part_y) + (
        grid[row + 1, column] * (1 - part_x) + grid[row + 1, column + 1] * part_x
    ) * part_y
    scale = 1 + numbers.normal(0, settings.mesh)
    shift = numbers.normal(0, settings.mesh * height * 0.5, 2)
    return (middle + (points - middle) * scale + shift + bend).astype(np.float32)


def lit(picture: np.ndarray, amount: float, numbers: np.random.Generator) -> np.ndarray:
    """(s, s, 3) uint8 under another light: exposure, contrast, tint, saturation, slopes of light and shadows."""
    if amount <= 0:
        return picture
    size = len(picture)
    x = picture.astype(np.float32) / 255
    if numbers.random() < 0.12:
        x[:] = x @ np.array([0.3, 0.59, 0.11], np.float32)[:, None]
    else:
        grey = x.mean(2, keepdims=True)
        x = grey + (x - grey) * np.float32(np.exp(numbers.normal(0, 0.3 * amount)))
    gain = np.exp(numbers.normal(0, 0.22 * amount) + numbers.normal(0, 0.08 * amount, 3)).astype(np.float32)
    slope = numbers.normal(0, 0.3 * amount, 2)
    place = np.linspace(-1, 1, size, dtype=np.float32)
    shade = np.exp(slope[0] * place[None] + slope[1] * place[:, None])
    if numbers.random() < 0.3:  # a shadow with an edge
        edge = disguises.smooth_noise(numbers, size, int(numbers.integers(1, 5))) * numbers.uniform(2, 20)
        shade = shade * (1 - numbers.uniform(0.2, 0.65) / (1 + np.exp(-np.clip(edge, -30, 30))))
    x = np.maximum(x, 1e-4) ** np.float32(np.exp(numbers.normal(0, 0.25 * amount))) * shade[..., None] * gain
    contrast = np.exp(numbers.normal(0, 0.2 * amount))
    mean = float(x.mean())
    return np.clip((mean + (x - mean) * contrast) * 255, 0, 255).astype(np.uint8)


def photographed(picture: np.ndarray, amount: float, numbers: np.random.Generator) -> np.ndarray:
    """(s, s, 3) uint8 as a worse camera saw it: out of focus, moved, small, noisy, compressed."""
    size = len(picture)
    if numbers.random() < 0.35 * amount:
        kind = numbers.random()
        if kind < 0.4:
            picture = cv2.GaussianBlur(picture, (0, 0), numbers.uniform(0.4, 2.2))
        elif kind < 0.8:
            small = max(32, round(size * numbers.uniform(0.25, 0.8)))
            picture = cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA)
            picture = cv2.resize(picture, (size, size), interpolation=cv2.INTER_LINEAR)
        else:
            length = int(numbers.integers(3, 9))
            kernel = np.zeros((length, length), np.float32)
            ends = (0, int(numbers.integers(length))), (length - 1, int(numbers.integers(length)))
            cv2.line(kernel, *ends, 1.0)
            picture = cv2.filter2D(picture, -1, kernel / kernel.sum())
    elif numbers.random() < 0.2 * amount:
        picture = cv2.addWeighted(picture, 1.6, cv2.GaussianBlur(picture, (0, 0), 1.2), -0.6, 0)
    if numbers.random() < 0.5 * amount:
        noise = numbers.standard_normal((size, size, 3 if numbers.random() < 0.5 else 1), dtype=np.float32)
        picture = np.clip(picture + noise * numbers.uniform(1, 16), 0, 255).astype(np.uint8)
    if numbers.random() < 0.4 * amount:
        quality = int(numbers.integers(25, 92))
        _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        packed = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert packed is not None  # it was encoded just now
        picture = packed
    return picture


def _moved(transform: CropTransform, settings: RegionAugment, numbers: np.random.Generator) -> CropTransform:
    """The crop's transform with a random move; the result's unit square is turned, scaled and shifted about its middle."""
    angle = math.radians(numbers.normal(0, settings.rotation))
    scale = math.exp(numbers.normal(0, settings.zoom))
    wide = math.exp(numbers.normal(0, settings.squeeze) / 2)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear = scale * np.diag([wide, 1 / wide]) @ turn
    if settings.zoom + settings.shift + settings.rotation > 0 and numbers.random() < 0.5:
        linear = np.diag([-1.0, 1.0]) @ linear
    shift = numbers.normal(0, settings.shift, 2) + 0.5 - linear @ (0.5, 0.5)
    matrix = linear @ transform.matrix
    matrix[:, 2] += shift
    return CropTransform(matrix=matrix)


def _bent(crop: RegionCrop, amount: float, numbers: np.random.Generator) -> RegionCrop:
    size = len(crop.picture)
    bend = disguises.smooth_noise(numbers, size, int(numbers.integers(2, 5)), channels=2) * np.float32(amount * size)
    place = np.arange(size, dtype=np.float32)
    column, row = place[None] + bend[..., 0], place[:, None] + bend[..., 1]
    at = np.clip(np.round(crop.points - 0.5), 0, size - 1).astype(int)
    # What is at p comes from p + bend(p): a point moves against the bend, to first order.
    points = crop.points - bend[at[:, 1], at[:, 0]]
    border = cv2.BORDER_REPLICATE
    bent = lambda labels: cv2.remap(labels, column, row, cv2.INTER_NEAREST, borderMode=border)  # noqa: E731
    return RegionCrop(
        picture=cv2.remap(crop.picture, column, row, cv2.INTER_LINEAR, borderMode=border),
        regions=bent(crop.regions),
        known=bent(crop.known.astype(np.uint8)) > 0,
        points=points.astype(np.float32),
    )


def _nearest(labels: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Labels at the pixels' centres; 0 outside."""
    centred = np.array(matrix, np.float64)
    centred[:, 2] += centred[:, :2] @ (0.5, 0.5) - 0.5
    return cv2.warpAffine(labels, centred, (size, size), flags=cv2.INTER_NEAREST, borderValue=0)
