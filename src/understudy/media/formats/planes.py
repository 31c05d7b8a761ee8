"""A movie frame's planes, and the way between them and RGB by the plate's own matrix and range (ITU-T H.273).

Convention: chroma lies as in MPEG-2 and H.264, on the left luma column and vertically between two rows, but centred
in motion JPEG. RGB of 8-bit movies is uint8; of deeper ones uint16 with white at 65535.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from understudy.errors import MediaError

_SHIFTS = {"410": (2, 2), "411": (2, 0), "420": (1, 1), "422": (1, 0), "440": (0, 1), "444": (0, 0)}
_NAME = re.compile(r"(?:yuv(?P<ya>a?)j?(?P<chroma>4\d\d)p|gbr(?P<ga>a?)p|(?P<gray>gray))(?P<bits>\d+)?(?:le)?$")

# Luma weights of red and blue by H.273 matrix coefficient.
_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}


@dataclass(frozen=True)
class PlaneFormat:
    """Layout of planes: FFmpeg's name, family ("yuv", "rgb" as G B R, "gray"), bits, chroma shifts (log2), alpha or not."""

    name: str
    family: str
    bits: int
    shift_x: int = 0
    shift_y: int = 0
    alpha: bool = False

    @property
    def dtype(self) -> np.dtype:
        """Type of the pixels (uint8 or uint16), which is also that of the planes."""
        return np.dtype(np.uint8 if self.bits == 8 else np.uint16)

    @property
    def channels(self) -> tuple[str, ...]:
        """Channel names of the pixels."""
        return ("Y",) if self.family == "gray" else ("R", "G", "B", "A") if self.alpha else ("R", "G", "B")

    def shapes(self, height: int, width: int) -> list[tuple[int, int]]:
        """Return (height, width) of each plane."""
        if self.family == "gray":
            return [(height, width)]
        small = (-(-height >> self.shift_y), -(-width >> self.shift_x))
        return [(height, width), small, small] + [(height, width)] * self.alpha


@dataclass(frozen=True, kw_only=True)
class ColourTags:
    """H.273 code points as the stream tells them: 2 says nothing; range 0 nothing, 1 limited, 2 full."""

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    range: int = 0
    centred_chroma: bool = False

    def resolved(self, fmt: PlaneFormat, width: int, height: int) -> tuple[int, bool]:
        """Return (matrix, full range) with the usual guesses for what is not told.

        Matrix: BT.709 for HD (1280 wide or more than 576 high), else BT.601. Range: full for RGB and gray, else limited.
        """
        matrix = self.matrix
        if matrix == 2 or (matrix == 0 and fmt.shift_x + fmt.shift_y):
            matrix = 1 if width >= 1280 or height > 576 else 6
        full = self.range == 2 or (self.range == 0 and fmt.family != "yuv") or fmt.family == "rgb"
        return matrix, full


@cache
def plane_format(name: str) -> PlaneFormat | None:
    """Return the layout of an FFmpeg pixel format that is planar and little-endian, else None."""
    match = _NAME.match(name)
    if match is None:
        return None
    bits = int(match["bits"] or 8)
    plain = name.replace("yuvj", "yuv")
    if match["chroma"]:
        return PlaneFormat(plain, "yuv", bits, *_SHIFTS[match["chroma"]], alpha=bool(match["ya"]))
    return PlaneFormat(plain, "gray" if match["gray"] else "rgb", bits, alpha=bool(match["ga"]))


@cache
def canonical_format(name: str) -> PlaneFormat:
    """Return the planar layout that holds everything of any FFmpeg pixel format."""
    import av

    known = plane_format(name)
    if known is not None:
        return known
    form = av.VideoFormat(name, 64, 64)
    bits = 8 if form.has_palette else max(component.bits for component in form.components)
    alpha = form.has_palette or any(component.is_alpha for component in form.components)
    colours = sum(not component.is_alpha for component in form.components)
    depth = next((depth for depth in (8, 10, 12, 16) if depth >= bits), 16)
    if form.is_rgb or form.has_palette or (colours == 1 and alpha) or name.startswith("xyz"):
        name = f"gbr{'a' * alpha}p"
    elif colours == 1:
        name = "gray"
    else:
        shifts = ({64: 0, 32: 1, 16: 2}[form.chroma_width(64)], {64: 0, 32: 1, 16: 2}[form.chroma_height(64)])
        name = f"yuv{'a' * alpha}{next(key for key, value in _SHIFTS.items() if value == shifts)}p"
    found = plane_format(name if depth == 8 else f"{name}{depth}le")
    assert found is not None
    return found


def to_pixels(planes: list[np.ndarray], fmt: PlaneFormat, tags: ColourTags) -> np.ndarray:
    """Return (H, W, C) pixels, uint8 or uint16, of ``planes`` as stored.

    Raises:
        MediaError: a colour matrix that is not supported.
    """
    height, width = planes[0].shape
    matrix, full = tags.resolved(fmt, width, height)
    if fmt.family == "gray":
        return _levels_to_unit(planes[0], fmt.bits, full)[..., None]
    if fmt.family == "rgb" or (fmt.family == "yuv" and matrix == 0):
        green, blue, red = (_levels_to_unit(plane, fmt.bits, full) for plane in planes[:3])
        colour = np.dstack((red, green, blue))
    else:
        lift = 16 - fmt.bits
        stack = [planes[0].astype(np.uint16) << lift if lift else planes[0]]
        for plane in planes[1:3]:
            raised = plane.astype(np.uint16) << lift if lift else plane
            stack.append(_enlarge(raised, fmt, (height, width), tags.centred_chroma))
        wide = cv2.transform(cv2.merge(stack), _to_rgb_matrix(matrix, full, fmt.bits))
        colour = cv2.convertScaleAbs(wide, alpha=1 / 257) if fmt.bits == 8 else wide
    if not fmt.alpha:
        return np.ascontiguousarray(colour)
    return np.dstack((colour, _levels_to_unit(planes[3], fmt.bits, True)))


def to_planes(
    pixels: np.ndarray, fmt: PlaneFormat, tags: ColourTags, size: tuple[int, int] | None = None
) -> list[np.ndarray]:
    """Return the planes of (H, W, C) ``pixels`` (uint8 or uint16): 1 channel is gray, 3 are RGB, 4 with alpha.

    Args:
        size: (width, height) of the whole picture where ``pixels`` are a part of it, for the guess of the matrix.

    Raises:
        MediaError: a colour matrix that is not supported.
    """
    height, width = pixels.shape[:2]
    matrix, full = tags.resolved(fmt, *(size or (width, height)))
    colour = pixels[..., :3] if pixels.shape[2] >= 3 else np.repeat(pixels[..., :1], 3, axis=2)
    if fmt.family == "gray":
        gray = pixels[..., 0] if pixels.shape[2] < 3 else _luma(colour)
        return [_unit_to_levels(gray, fmt.bits, full)]
    if fmt.family == "rgb" or matrix == 0:
        planes = [_unit_to_levels(colour[..., index], fmt.bits, full) for index in (1, 2, 0)]
    else:
        wide = np.ascontiguousarray(colour)
        wide = wide.astype(np.uint16) * np.uint16(257) if wide.dtype == np.uint8 else wide
        stack = cv2.split(cv2.transform(wide, _from_rgb_matrix(matrix, full, fmt.bits)))
        planes = [_round_down(stack[0], fmt.bits)]
        planes += [_round_down(_shrink(plane, fmt, tags.centred_chroma), fmt.bits) for plane in stack[1:]]
    if fmt.alpha:
        white = np.iinfo(pixels.dtype).max
        alpha = pixels[..., 3] if pixels.shape[2] == 4 else np.full((height, width), white, pixels.dtype)
        planes.append(_unit_to_levels(alpha, fmt.bits, True))
    return planes


def patch_planes(
    planes: list[np.ndarray], pixels: np.ndarray, altered: np.ndarray, fmt: PlaneFormat, tags: ColourTags
) -> list[np.ndarray]:
    """Return ``planes`` with the pixels at ``altered`` (H, W bool) taken from ``pixels``; all else stays bit for bit.

    A chroma sample is made anew where any luma sample that it serves is altered.
    """
    rows, columns = np.flatnonzero(altered.any(axis=1)), np.flatnonzero(altered.any(axis=0))
    if not rows.size:
        return planes
    height, width = altered.shape
    step_y, step_x = 1 << fmt.shift_y, 1 << fmt.shift_x
    margin = 4
    top, left = max(0, rows[0] - margin) // 4 * 4, max(0, columns[0] - margin) // 4 * 4
    bottom, right = min(height, -(-(rows[-1] + margin) // 4) * 4), min(width, -(-(columns[-1] + margin) // 4) * 4)
    fresh = to_planes(pixels[top:bottom, left:right], fmt, tags, (width, height))
    part = altered[top:bottom, left:right]
    high, wide = -(-part.shape[0] // step_y), -(-part.shape[1] // step_x)
    padded = np.zeros((high * step_y, wide * step_x), dtype=bool)
    padded[: part.shape[0], : part.shape[1]] = part
    coarse = padded.reshape(high, step_y, wide, step_x).any(axis=(1, 3))
    result = []
    for index, (old, new) in enumerate(zip(planes, fresh, strict=True)):
        chroma = fmt.family == "yuv" and index in (1, 2)
        y, x = (top // step_y, left // step_x) if chroma else (top, left)
        patched = old.copy()
        np.copyto(patched[y : y + new.shape[0], x : x + new.shape[1]], new, where=coarse if chroma else part)
        result.append(patched)
    return result


def _weights(matrix: int) -> tuple[float, float]:
    if matrix not in _WEIGHTS:
        raise MediaError(
            f"The movie's colour matrix (H.273 code {matrix}) is not supported: BT.601, BT.709, BT.2020 non-constant, FCC and "
            "SMPTE 240M are. Convert the movie, or export a picture sequence."
        )
    return _WEIGHTS[matrix]


@cache
def _analysis(matrix: int) -> np.ndarray:
    """RGB to Y, Cb, Cr: the luma weights, and colour differences within [-0.5, 0.5]."""
    red, blue = _weights(matrix)
    green = 1 - red - blue
    luma = np.array([red, green, blue])
    return np.stack(
        [luma, (np.array([0, 0, 1]) - luma) / (2 * (1 - blue)), (np.array([1, 0, 0]) - luma) / (2 * (1 - red))]
    )


def _scales(full: bool, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (gain, offset) from unit Y, Cb, Cr to 16-bit words whose upper ``bits`` are the stored level."""
    lift = 1 << (16 - bits)
    if full:
        top = ((1 << bits) - 1) * lift
        return np.array([top, top, top], dtype=float), np.array([0, 32768, 32768], dtype=float)
    return np.array([219, 224, 224]) * 256.0, np.array([16, 128, 128]) * 256.0


@cache
def _to_rgb_matrix(matrix: int, full: bool, bits: int) -> np.ndarray:
    gain, offset = _scales(full, bits)
    scaled = 65535 * np.linalg.inv(_analysis(matrix)) / gain
    return np.column_stack((scaled, -scaled @ offset))


@cache
def _from_rgb_matrix(matrix: int, full: bool, bits: int) -> np.ndarray:
    gain, offset = _scales(full, bits)
    return np.column_stack((gain[:, None] * _analysis(matrix) / 65535, offset))


def _round_down(plane: np.ndarray, bits: int) -> np.ndarray:
    """Round 16-bit words to levels of ``bits``."""
    lift = 16 - bits
    if bits == 8:
        return cv2.convertScaleAbs(plane, alpha=1 / 256)
    if not lift:
        return plane
    return np.minimum((plane.astype(np.uint32) + (1 << (lift - 1))) >> lift, (1 << bits) - 1).astype(np.uint16)


def _levels_to_unit(plane: np.ndarray, bits: int, full: bool) -> np.ndarray:
    """Scale levels of ``bits`` to uint8 or uint16 over the whole range."""
    if bits in (8, 16) and full:
        return plane
    white = 255 if bits == 8 else 65535
    step = 1 << (bits - 8)
    low, high = (0, (1 << bits) - 1) if full else (16 * step, 235 * step)
    table = np.rint(np.clip((np.arange(1 << bits) - low) / (high - low), 0, 1) * white)
    return table.astype(np.uint8 if bits == 8 else np.uint16)[np.minimum(plane, (1 << bits) - 1)]


def _unit_to_levels(plane: np.ndarray, bits: int, full: bool) -> np.ndarray:
    white = np.iinfo(plane.dtype).max
    target = np.uint8 if bits == 8 else np.uint16
    if bits in (8, 16) and full and plane.dtype == target:
        return np.ascontiguousarray(plane)
    step = 1 << (bits - 8)
    low, high = (0, (1 << bits) - 1) if full else (16 * step, 235 * step)
    table = np.rint(np.arange(int(white) + 1) / white * (high - low) + low)
    return table.astype(target)[plane]


def _luma(colour: np.ndarray) -> np.ndarray:
    red, blue = _WEIGHTS[1]
    return cv2.transform(np.ascontiguousarray(colour), np.array([[red, 1 - red - blue, blue]])).reshape(
        colour.shape[:2]
    )


def _enlarge(plane: np.ndarray, fmt: PlaneFormat, shape: tuple[int, int], centred: bool) -> np.ndarray:
    """Bring chroma to luma's size, linearly, each sample standing where it was taken."""
    if not fmt.shift_x and not fmt.shift_y:
        return plane
    step_x, step_y = 1 << fmt.shift_x, 1 << fmt.shift_y
    # Luma column x lies at chroma x/step where chroma is on the left column, else at (x + 0.5)/step - 0.5.
    shift_x = 0.0 if not centred else (0.5 / step_x - 0.5)
    placing = np.array([[1 / step_x, 0, shift_x], [0, 1 / step_y, 0.5 / step_y - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(plane, placing, (shape[1], shape[0]), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _shrink(plane: np.ndarray, fmt: PlaneFormat, centred: bool) -> np.ndarray:
    """Bring luma-sized chroma down to its own size, with the mean over what each sample serves."""
    step_x, step_y = 1 << fmt.shift_x, 1 << fmt.shift_y
    if step_x == step_y == 1:
        return plane
    rows, columns = plane.shape
    plane = cv2.copyMakeBorder(plane, 0, -rows % step_y, 0, -columns % step_x, cv2.BORDER_REPLICATE)
    across = np.ones(step_x) / step_x
    if step_x > 1 and not centred:
        across = np.convolve(np.ones(step_x), np.ones(step_x)) / step_x**2
    down = np.ones(step_y) / step_y
    anchor = ((len(across) - 1) // 2 if not (step_x > 1 and centred) else 0, 0)
    smooth = cv2.sepFilter2D(plane, -1, across, down, anchor=anchor, borderType=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(smooth[::step_y, ::step_x])
