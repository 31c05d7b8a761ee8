"""What rendered people never wear: other hair, hats, glasses, beards, hands and things before the face, other places.

Each function changes a crop and its region map in place, in the ways a photograph might; together they teach a parser that grew up
on invented people what to make of real ones. Pictures are (s, s, 3) uint8 RGB, regions (s, s) uint8 of :class:`Region`, points
(478, 2) crop pixels; ``unit`` is the face's height in pixels.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from understudy.faces import topology
from understudy.faces.regions import Region

Numbers = np.random.Generator

_FLESH = (Region.SKIN, Region.NOSE, Region.EARS, Region.NECK)
_HAIR_COLOURS = np.array(
    [[18, 16, 15], [38, 28, 22], [66, 44, 30], [104, 70, 44], [150, 112, 70], [196, 164, 112], [120, 52, 26], [130, 128, 126],
     [205, 203, 200]], np.float32
)  # fmt: skip
_SKIN_COLOURS = np.array(
    [[245, 208, 185], [226, 176, 145], [200, 146, 112], [160, 108, 78], [112, 72, 50], [72, 45, 32]], np.float32
)


def smooth_noise(numbers: Numbers, size: int, cells: int, *, channels: int = 1) -> np.ndarray:
    """(size, size[, channels]) float32 of about unit deviation that changes over ``1 / cells`` of the side."""
    grid = numbers.standard_normal((cells + 1, cells + 1, channels), dtype=np.float32)
    grown = cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
    return grown[..., None] if channels > 1 and grown.ndim == 2 else grown


def texture(numbers: Numbers, size: int) -> np.ndarray:
    """(size, size, 3) uint8: blobs, gradients, stripes or grain, of colours that also skin and hair have."""
    kind = numbers.random()
    colours = numbers.integers(0, 256, (2, 3)).astype(np.float32)
    if numbers.random() < 0.35:
        colours[0] = _pick(numbers, _SKIN_COLOURS if numbers.random() < 0.5 else _HAIR_COLOURS)
    if kind < 0.45:
        mixture = smooth_noise(numbers, size, int(numbers.integers(1, 6)))
        mixture = mixture + numbers.uniform(0, 0.6) * smooth_noise(numbers, size, int(numbers.integers(8, 40)))
        mixture = 1 / (1 + np.exp(-mixture * numbers.uniform(0.5, 5)))
    elif kind < 0.7:
        angle, length = numbers.uniform(0, math.pi), numbers.uniform(6, size)
        along = np.arange(size, dtype=np.float32)
        ramp = (along[None] * math.cos(angle) + along[:, None] * math.sin(angle)) * (2 * math.pi / length)
        wave = np.sin(ramp + 0.7 * smooth_noise(numbers, size, 4))
        mixture = (wave > 0).astype(np.float32) if numbers.random() < 0.5 else (wave + 1) / 2
    elif kind < 0.85:
        mixture = np.full((size, size), numbers.random(), np.float32)
    else:
        mixture = np.repeat(np.repeat(numbers.random((8, 8), dtype=np.float32), size // 8 + 1, 0), size // 8 + 1, 1)
        mixture = mixture[:size, :size]
    picture = colours[0] + mixture[..., None] * (colours[1] - colours[0])
    picture += numbers.uniform(0, 18) * smooth_noise(numbers, size, int(numbers.integers(20, 90)))[..., None]
    return np.clip(picture, 0, 255).astype(np.uint8)


def strands(numbers: Numbers, size: int) -> np.ndarray:
    """(size, size) float32 of about 0.4 to 1.6: streaks as of hair, along a direction that bends."""
    fine = numbers.standard_normal((size, size), dtype=np.float32)
    length = int(numbers.integers(5, 22)) | 1
    angle = numbers.uniform(0, math.pi)
    kernel = np.zeros((length, length), np.float32)
    middle, reach = length // 2, length / 2
    cv2.line(
        kernel,
        (round(middle - math.cos(angle) * reach), round(middle - math.sin(angle) * reach)),
        (round(middle + math.cos(angle) * reach), round(middle + math.sin(angle) * reach)),
        1.0,
    )
    streaks = cv2.filter2D(fine, -1, kernel / max(kernel.sum(), 1))
    if numbers.random() < 0.6:
        bend = smooth_noise(numbers, size, int(numbers.integers(3, 14)), channels=2) * (size * 0.02)
        place = np.arange(size, dtype=np.float32)
        streaks = cv2.remap(
            streaks,
            place[None] + bend[..., 0],
            place[:, None] + bend[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT,
        )
    streaks *= numbers.uniform(0.08, 0.28) / max(float(streaks.std()), 1e-3)
    return np.clip(1 + streaks + 0.15 * smooth_noise(numbers, size, 5), 0.2, 2.0)


def hair_colour(numbers: Numbers) -> np.ndarray:
    """(3,) RGB 0..255."""
    colour = _pick(numbers, _HAIR_COLOURS)
    return numbers.uniform(0, 255, 3).astype(np.float32) if numbers.random() < 0.06 else colour


def recolour(picture: np.ndarray, where: np.ndarray, colour: np.ndarray, share: float) -> None:
    """Give the pixels of a mask (s, s) float in [0, 1] another colour; their light and shade stay."""
    inside = where > 0
    if not inside.any():
        return
    pixels = picture[inside].astype(np.float32)
    light = pixels.mean(1)
    light /= max(float(light.mean()), 8.0)
    coloured = np.minimum(light, 3.0)[:, None] * colour
    weight = (where[inside] * share)[:, None]
    picture[inside] = np.clip(pixels + weight * (coloured - pixels), 0, 255)


def repaint(picture: np.ndarray, regions: np.ndarray, numbers: Numbers) -> None:
    """Other colours of hair, skin, brows and lips; teeth in dark mouths; a beard's shadow on the skin."""
    soft = lambda *wanted: cv2.blur(np.isin(regions, wanted).astype(np.float32), (3, 3))  # noqa: E731
    if numbers.random() < 0.6:
        recolour(picture, soft(Region.HAIR), hair_colour(numbers), numbers.uniform(0.5, 1))
    if numbers.random() < 0.4:
        colour = _pick(numbers, _SKIN_COLOURS)
        recolour(picture, soft(*_FLESH), colour, numbers.uniform(0.3, 0.9))
    if numbers.random() < 0.4:
        recolour(picture, soft(Region.BROWS), hair_colour(numbers), numbers.uniform(0.3, 0.9))
    if numbers.random() < 0.3:
        red = np.array([numbers.uniform(120, 230), numbers.uniform(20, 120), numbers.uniform(30, 130)], np.float32)
        recolour(picture, soft(Region.LIPS), red, numbers.uniform(0.3, 0.9))
    if numbers.random() < 0.5:
        white = np.full(3, numbers.uniform(140, 245), np.float32) * np.array([1, 0.97, 0.9], np.float32)
        recolour(picture, soft(Region.MOUTH), white, numbers.uniform(0.3, 0.9))


def beard(picture: np.ndarray, regions: np.ndarray, points: np.ndarray, numbers: Numbers) -> None:
    """A beard or its shadow on the lower face, or a fringe of it; it stays skin, as in the published sets."""
    unit = _height(points)
    across, down = _axes(points)
    place = _grid(len(picture)) - points[topology.LIPS_OUTER].mean(0)
    low = place @ down / unit + 0.12 + 0.03 * smooth_noise(numbers, len(picture), 8)
    side = np.abs(place @ across) / unit
    field = low + numbers.uniform(0.0, 0.5) * np.maximum(side - 0.15, 0)
    where = np.isin(regions, (Region.SKIN,)) * np.clip(field * 12, 0, 1)
    grain = np.clip(strands(numbers, len(picture)) - 0.2, 0, 1)
    weight = where * grain * numbers.uniform(0.3, 1.0)
    colour = hair_colour(numbers) * numbers.uniform(0.6, 1.1)
    picture[:] = np.clip(picture + weight[..., None] * (colour - picture), 0, 255)


def shave(picture: np.ndarray, regions: np.ndarray, points: np.ndarray, numbers: Numbers) -> None:
    """A bald head, where the hair is short."""
    unit = _height(points)
    _, down = _axes(points)
    hair, skin = regions == Region.HAIR, regions == Region.SKIN
    low = (_grid(len(picture)) - points[topology.LIPS_OUTER].mean(0)) @ down > -0.05 * unit
    if (hair & low).any() or skin.sum() < 40:
        return
    light = cv2.GaussianBlur(picture, (0, 0), 0.06 * unit + 1).astype(np.float32).mean(2)
    light = 1 + 0.4 * (light / max(float(light[hair].mean() if hair.any() else 1), 8) - 1)
    paint = picture[skin].astype(np.float32).mean(0) * np.clip(light, 0.5, 1.5)[..., None]
    paint *= 1 + 0.03 * smooth_noise(numbers, len(picture), 12)[..., None]
    _cover(picture, regions, hair, np.clip(paint, 0, 255).astype(np.uint8), Region.SKIN)


def grow_hair(picture: np.ndarray, regions: np.ndarray, points: np.ndarray, numbers: Numbers) -> None:
    """More hair: lower on the forehead, wider at the sides, in curls; or strands across the face."""
    size, unit = len(picture), _height(points)
    _, down = _axes(points)
    hair = regions == Region.HAIR
    if hair.sum() < 40:
        return
    colour = picture[hair].astype(np.float32).mean(0)
    away = cv2.distanceTransform((~hair).astype(np.uint8), cv2.DIST_L2, 3) / unit
    rough = smooth_noise(numbers, size, int(numbers.integers(2, 6))) + numbers.uniform(0, 0.7) * smooth_noise(
        numbers, size, int(numbers.integers(12, 40))
    )
    reach = numbers.uniform(0.02, 0.22) * (1 + 0.6 * rough)
    # Height above the brows, in faces: hair seldom grows where one looks.
    above = (
        (points[topology.RIGHT_BROW].mean(0) / 2 + points[topology.LEFT_BROW].mean(0) / 2 - _grid(size)) @ down / unit
    )
    face = np.zeros((size, size), np.uint8)
    cv2.fillPoly(face, [np.round(points[topology.FACE_OVAL] * 8).astype(np.int32)], 1, shift=3)
    inside = cv2.distanceTransform(face, cv2.DIST_L2, 3) / unit
    limit = numbers.uniform(-0.02, 0.1) if numbers.random() < 0.8 else numbers.uniform(-0.25, 0.0)
    kept = (inside > numbers.uniform(0.01, 0.1)) & (above < limit + 0.02 * rough)
    grown = (away < reach) & ~hair & ~kept & (regions != Region.GLASSES)
    if numbers.random() < 0.4:  # not before the neck
        grown &= regions != Region.NECK
    _lay_hair(picture, regions, grown, colour, numbers)


def strands_across(picture: np.ndarray, regions: np.ndarray, points: np.ndarray, numbers: Numbers) -> None:
    """Single locks that fall over forehead, cheeks and neck."""
    size, unit = len(picture), _height(points)
    across, down = _axes(points)
    hair = regions == Region.HAIR
    colour = picture[hair].astype(np.float32).mean(0) if hair.sum() > 40 else hair_colour(numbers)
    locks = np.zeros((size, size), np.uint8)
    top = points[10]
    for _ in range(int(numbers.integers(1, 9))):
        start = top + across * numbers.uniform(-0.45, 0.45) * unit - down * numbers.uniform(0, 0.15) * unit
        drift = across * numbers.uniform(-0.25, 0.25) + down * numbers.uniform(0.2, 1.0)
        bow = across * numbers.uniform(-0.12, 0.12)
        along = np.linspace(0, 1, 12)[:, None]
        line = start + unit * (along * drift + np.sin(along * math.pi) * bow)
        width = max(1, round(unit * numbers.uniform(0.005, 0.05)))
        cv2.polylines(locks, [np.round(line * 8).astype(np.int32)], False, 1, width, cv2.LINE_8, 3)
    _lay_hair(picture, regions, locks > 0, colour, numbers)


def _lay_hair(
    picture: np.ndarray, regions: np.ndarray, where: np.ndarray, colour: np.ndarray, numbers: Numbers
) -> None:
    size = len(picture)
    light = strands(numbers, size) * numbers.uniform(0.8, 1.15)
    soft = cv2.blur(where.astype(np.float32), (3, 3))[..., None]
    picture[:] = np.clip(picture + soft * (light[..., None] * colour - picture), 0, 255)
    regions[where] = Region.HAIR


def new_place(picture: np.ndarray, regions: np.ndarray, points: np.ndarray, numbers: Numbers) -> None:
    """Another background, and shoulders of cloth in front of it; either may have the hair's own colour."""
    size, unit = len(picture), _height(points)
    scene = _cloth(picture, regions, numbers)
    if numbers.random() < 0.4:
        cv2.blur(scene, (15, 15), scene)
    if numbers.random() < 0.75:
        chin, (across, down) = points[152], _axes(points)
        neck, width = numbers.uniform(0.1, 0.4), numbers.uniform(0.8, 1.6)
        drop = neck + numbers.uniform(0.1, 0.4)
        body = [(-0.2, neck), (0.2, neck), (width, drop), (width + 0.2, 4), (-width - 0.2, 4), (-width, drop)]
        outline = np.array([chin + unit * (x * across + y * down) for x, y in body])
        shape = np.zeros((size, size), np.uint8)
        cv2.fillPoly(shape, [np.round(outline * 8).astype(np.int32)], 1, cv2.LINE_8, 3)
        scene[shape > 0] = _cloth(picture, regions, numbers)[shape > 0]
    soft = cv2.blur((regions == Region.BACKGROUND).astype(np.float32), (3, 3))[..., None]
    picture[:] = np.clip(picture + soft * (scene.astype(np.float32) - picture), 0, 255)


def _cloth(picture: np.ndarray, regions: np.ndarray, numbers: Numbers) -> np.ndarray:
    """A texture; of the hair's colour a quarter of the time, lest colour alone make hair."""
    size, hair = len(picture), regions == Region.HAIR
    if numbers.random() > 0.25 or hair.sum() < 40:
        return texture(numbers, size)
    colour = picture[hair].astype(np.float32).mean(0) * numbers.uniform(0.7, 1.3)
    folds = 1 + numbers.uniform(0.05, 0.4) * smooth_noise(numbers, size, int(numbers.integers(1, 12)))
    return np.clip(colour * folds[..., None], 0, 255).astype(np.uint8)


def hat(picture: np.ndarray, regions: np.ndarray, points: np.ndarray, numbers: Numbers) -> None:
    """A cap, a scarf, a helmet's rim: everything above a line is background."""
    size, unit = len(picture), _height(points)
    across, down = _axes(points)
    middle = points[9]  # between the brows' upper ends
    line = -numbers.uniform(0.02, 0.3)
    wide, high = numbers.uniform(0.42, 0.62), numbers.uniform(0.4, 0.8)
    bow = numbers.uniform(-0.1, 0.12)
    angle = np.linspace(0, math.pi, 16)
    crown = [(math.cos(a) * wide, line - math.sin(a) ** 0.7 * high) for a in angle]
    rim = [(x, line + bow * (1 - (x / wide) ** 2)) for x in np.linspace(-wide, wide, 9)]
    outline = np.array([middle + unit * (x * across + y * down) for x, y in [*crown, *rim]])
    shape = np.zeros((size, size), np.uint8)
    cv2.fillPoly(shape, [np.round(outline * 8).astype(np.int32)], 1, cv2.LINE_8, 3)
    if numbers.random() < 0.4:  # a brim
        ends = [middle + unit * (x * across + (line + bow) * down) for x in (-wide * 1.2, wide * 1.2)]
        _line(shape, ends[0], ends[1], max(2, round(0.08 * unit)))
    _cover(picture, regions, shape > 0, texture(numbers, size), Region.BACKGROUND)


def glasses(picture: np.ndarray, regions: np.ndarray, points: np.ndarray, numbers: Numbers) -> None:
    """Frames before the eyes; clear glass shows what is behind, dark glass is glasses itself."""
    size, unit = len(picture), _height(points)
    across, down = _axes(points)
    frame = np.zeros((size, size), np.uint8)
    glass = np.zeros((size, size), np.uint8)
    width, height = numbers.uniform(0.13, 0.2) * unit, numbers.uniform(0.09, 0.17) * unit
    thick = max(1, round(unit * numbers.uniform(0.006, 0.03)))
    power, low = numbers.uniform(2, 6), numbers.uniform(-0.01, 0.05) * unit
    angle = np.linspace(0, 2 * math.pi, 40)
    cosine, sine = np.cos(angle), np.sin(angle)
    shape_x = np.sign(cosine) * np.abs(cosine) ** (2 / power) * width
    shape_y = np.sign(sine) * np.abs(sine) ** (2 / power) * height + low
    rings = []
    for eye, outer, ear in ((topology.RIGHT_EYE, 33, 127), (topology.LEFT_EYE, 263, 356)):
        middle = points[eye].mean(0)
        # A turned head shows the far glass narrower.
        narrow = np.clip(np.linalg.norm(points[eye].max(0) - points[eye].min(0)) / (0.24 * unit), 0.4, 1.1)
        ring = middle + narrow * shape_x[:, None] * across + shape_y[:, None] * down
        rings.append(ring)
        cv2.fillPoly(glass, [np.round(ring * 8).astype(np.int32)], 1, cv2.LINE_8, 3)
        cv2.polylines(frame, [np.round(ring * 8).astype(np.int32)], True, 1, thick, cv2.LINE_8, 3)
        temple = points[ear] - down * 0.02 * unit
        hinge = ring[np.argmin(np.linalg.norm(ring - points[outer] + (points[eye].mean(0) - points[outer]), axis=1))]
        if numbers.random() < 0.8:
            _line(frame, hinge, temple, thick)
    right, left = rings
    bridge = (
        right[np.argmin(np.linalg.norm(right - left.mean(0), axis=1))],
        left[np.argmin(np.linalg.norm(left - right.mean(0), axis=1))],
    )
    _line(frame, *bridge, thick)
    colour = numbers.uniform(0, 255, 3) if numbers.random() < 0.5 else np.full(3, numbers.uniform(5, 60))
    paint = np.clip(colour * strands(numbers, size)[..., None], 0, 255).astype(np.uint8)
    where = frame > 0
    if numbers.random() < 0.2:
        dark = np.clip(numbers.uniform(5, 90, 3) * (1 + 0.3 * smooth_noise(numbers, size, 3))[..., None], 0, 255)
        _cover(picture, regions, glass > 0, dark.astype(np.uint8), Region.GLASSES, share=numbers.uniform(0.8, 1))
    elif numbers.random() < 0.5:
        shine = cv2.GaussianBlur((glass > 0) * np.clip(smooth_noise(numbers, size, 8) - 0.8, 0, 1), (0, 0), 1.5)
        picture[:] = np.clip(picture + 130 * shine[..., None], 0, 255)
    _cover(picture, regions, where, paint, Region.GLASSES)


def occluder(picture: np.ndarray, regions: np.ndarray, points: np.ndarray, numbers: Numbers) -> None:
    """A hand or a thing before the face: background."""
    size, unit = len(picture), _height(points)
    middle = points[topology.FACE_OVAL].mean(0) + numbers.normal(0, 0.45, 2) * unit
    shape = np.zeros((size, size), np.uint8)
    kind = numbers.random()
    angle = numbers.uniform(0, 2 * math.pi)
    heading = np.array([math.cos(angle), math.sin(angle)])
    if kind < 0.5:  # fingers side by side
        beside = np.array([-heading[1], heading[0]])
        width = numbers.uniform(0.05, 0.1) * unit
        for finger in range(int(numbers.integers(1, 5))):
            start = middle + beside * finger * width * 1.05
            spread = heading + beside * numbers.normal(0, 0.12)
            _line(shape, start, start + spread * unit * numbers.uniform(0.3, 0.6), max(2, round(width)))
        palm = middle - heading * 0.2 * unit + beside * 1.5 * width
        axes = (max(2, round(0.3 * unit)), max(2, round(2.4 * width)))
        cv2.ellipse(shape, _whole(palm), axes, math.degrees(angle), 0, 360, 1, -1)
        skin = _pick(numbers, _SKIN_COLOURS)
        own = regions == Region.SKIN
        if own.sum() > 40 and numbers.random() < 0.7:
            skin = picture[own].astype(np.float32).mean(0) * numbers.uniform(0.75, 1.15)
        shade = 1 + 0.15 * smooth_noise(numbers, size, int(numbers.integers(4, 14)))
        edge = cv2.GaussianBlur(shape.astype(np.float32), (0, 0), 0.02 * unit + 0.5)
        paint = np.clip(skin * (shade * (0.6 + 0.4 * edge))[..., None], 0, 255).astype(np.uint8)
    else:
        paint = texture(numbers, size)
        if kind < 0.7:
            _line(shape, middle, middle + heading * unit, max(2, round(numbers.uniform(0.05, 0.35) * unit)))
        else:
            corners = [middle + unit * numbers.normal(0, 0.35, 2) for _ in range(int(numbers.integers(3, 7)))]
            hull = cv2.convexHull(np.array(corners, np.float32))
            cv2.fillPoly(shape, [np.round(hull * 8).astype(np.int32)], 1, cv2.LINE_8, 3)
    _cover(picture, regions, shape > 0, paint, Region.BACKGROUND)


def _cover(
    picture: np.ndarray,
    regions: np.ndarray,
    where: np.ndarray,
    paint: np.ndarray,
    region: Region,
    *,
    share: float = 1.0,
) -> None:
    soft = cv2.blur(where.astype(np.float32), (3, 3))[..., None] * share
    picture[:] = np.clip(picture + soft * (paint.astype(np.float32) - picture), 0, 255)
    regions[where] = region


def _pick(numbers: Numbers, colours: np.ndarray) -> np.ndarray:
    first, second = colours[numbers.integers(len(colours), size=2)]
    colour = first + numbers.random() * (second - first)
    return (colour * np.exp(numbers.normal(0, 0.12, 3))).astype(np.float32)


def _height(points: np.ndarray) -> float:
    return max(4.0, float(np.linalg.norm(points[10] - points[152])))


def _axes(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of the face in the picture: towards its left side, and down."""
    down = points[152] - points[10]
    down = down / max(float(np.linalg.norm(down)), 1e-6)
    return np.array([down[1], -down[0]]), down


def _grid(size: int) -> np.ndarray:
    place = np.arange(size, dtype=np.float32) + 0.5
    return np.stack(np.meshgrid(place, place), -1)


def _whole(point: np.ndarray) -> tuple[int, int]:
    x, y = np.round(point).astype(int).tolist()
    return x, y


def _line(shape: np.ndarray, start: np.ndarray, end: np.ndarray, width: int) -> None:
    cv2.line(shape, _whole(start), _whole(end), 1, width)
