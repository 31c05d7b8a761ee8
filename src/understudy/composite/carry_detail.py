"""Fine detail of one picture carried onto another.

What a network cannot foretell it blurs: brows, lashes, lips' edges, stubble. The performer's footage shows all of it, in
other moments and under another light. So the generated face keeps what is coarser than sigma, which holds expression,
pose and light, and what is finer comes from footage that was carried to the generated face's mesh,

    O = F + a (g (N - G(N)) - (F - G(F))),    g = (H(F) + e) / (H(N) + e),

F the generated face, N the carried footage, G a Gaussian of sigma, H one of three sigma, a the strength. The gain g, a
colour channel at a time and within limits, brings the detail to the brightness that the generated face has there: detail
of skin is a share of the light that falls on it.

Where a picture shows more than a face, hair, glasses, what is behind, or shall give its detail to some of it alone, G and H are
means over the face: G(F) = (F m) * G / (m * G), m its mask. So nothing of the outside comes in, and no edge is a rim.

Pores are finer than an eighth of sigma, creases coarser. Where a picture's expression is not the face's, its pores may come without
its creases, or its creases alone: both bands then have a strength of their own. Pores without creases are also without what is
stronger than pores: a crease that is a line. What is broader than creases, a third of sigma or more, is shading, and has a strength
of its own too: a picture's shading may end where its pores and creases do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from understudy.dataset.pictures import resized

_FLOOR = 0.02  # e, view units
_ANYWHERE = 1e-3  # what a pixel outside a mask counts
_FINEST = 4.0  # pixels of a standard deviation, where pictures are made smaller to be blurred
_PORES, _SKIN = 0.125, 0.008
"""What is finer is pores, in sigmas; how strong those of skin are, view units."""
_CREASES = 0.35
"""What is coarser than creases is shading, in sigmas."""
_UNSEEN = 0.002
"""Weights of less change no pixel by a level."""
_GAIN = (0.5, 2.0)
_LIGHT = (0.25, 4.0)


def carry_own_detail(face: np.ndarray, footage: np.ndarray, *, sigma: float, strength: float = 1.0) -> np.ndarray:
    """The generated face with the footage's detail.

    Args:
        face, footage: (s, s, 3) float32 RGB in [0, 1], view space, the footage lying on the face point by point.
        sigma: of G, pixels.
        strength: a, 0 to 1.

    Returns:
        (s, s, 3) float32 in [0, 1].
    """
    coarse, of_footage = (cv2.GaussianBlur(picture, (0, 0), sigma) for picture in (face, footage))
    wide, wide_of_footage = (cv2.GaussianBlur(picture, (0, 0), 3 * sigma) for picture in (face, footage))
    gain = np.clip((wide + _FLOOR) / (wide_of_footage + _FLOOR), *_GAIN)
    detail = (footage - of_footage) * gain
    return np.clip(face + np.float32(strength) * (detail - (face - coarse)), 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Detail:
    """A picture that lies on a generated face point by point, for some of that face.

    Attributes:
        picture: (s, s, 3) float32 RGB in [0, 1], view space.
        of_picture: (s, s) float32 in [0, 1], its m.
        of_face: (s, s) float32 in [0, 1], the generated face's m.
        weight: (s, s) float32 in [0, 1], a: how much of the detail is this picture's.
        creases: (s, s) float32 in [0, 1], how much of what is coarser than pores is; None for as much as of these.
        shades: (s, s) float32 in [0, 1], how much of what is coarser than creases is; None for as much as of these.
    """

    picture: np.ndarray
    of_picture: np.ndarray
    of_face: np.ndarray
    weight: np.ndarray
    creases: np.ndarray | None = None
    shades: np.ndarray | None = None


def carry_details(face: np.ndarray, details: Sequence[Detail], *, sigma: float) -> np.ndarray:
    """The generated face with the detail of several pictures, each where its weight is; where all are 0 it stays as it is.

    Args:
        face: (s, s, 3) float32 RGB in [0, 1], view space.
        sigma: of G, pixels.

    Returns:
        (s, s, 3) float32 in [0, 1].
    """
    result = np.array(face, np.float32)
    known: dict[tuple[int, int, float], np.ndarray] = {}

    def mean(picture: np.ndarray, mask: np.ndarray, sigma: float) -> np.ndarray:
        # Several details are often of one picture, and all of one face.
        key = (id(picture), id(mask), sigma)
        if key not in known:
            known[key] = _mean(picture, mask, sigma)
        return known[key]

    for one in details:
        coarse, of_picture = mean(face, one.of_face, sigma), mean(one.picture, one.of_picture, sigma)
        wide, wide_of_picture = mean(face, one.of_face, 3 * sigma), mean(one.picture, one.of_picture, 3 * sigma)
        gain = np.clip((wide + _FLOOR) / (wide_of_picture + _FLOOR), *_GAIN)
        result += one.weight[..., None] * ((one.picture - of_picture) * gain - (face - coarse))
        if one.creases is not None:
            rows, columns = box = _box(one.creases != one.weight, reach=3 * _PORES * sigma)
            near = (face, one.of_face, one.picture, one.of_picture, one.weight, one.creases, coarse, of_picture, gain)
            if rows.stop > rows.start and columns.stop > columns.start:
                result[box] += _other_creases(*(array[box] for array in near), sigma=_PORES * sigma)
        if one.shades is not None:
            more = one.shades - (one.weight if one.creases is None else one.creases)
            rows, columns = box = _box(np.abs(more) > _UNSEEN, reach=0)
            if rows.stop > rows.start and columns.stop > columns.start:
                between = mean(face, one.of_face, _CREASES * sigma)[box] - coarse[box]
                of_between = mean(one.picture, one.of_picture, _CREASES * sigma)[box] - of_picture[box]
                result[box] += more[box][..., None] * (of_between * gain[box] - between)
    return np.clip(result, 0.0, 1.0)


def _other_creases(
    face: np.ndarray,
    of_face: np.ndarray,
    picture: np.ndarray,
    on_picture: np.ndarray,
    weight: np.ndarray,
    creases: np.ndarray,
    coarse: np.ndarray,
    of_picture: np.ndarray,
    gain: np.ndarray,
    *,
    sigma: float,
) -> np.ndarray:
    """What is to be added where creases have a weight of their own, sigma parting them from pores."""
    between, of_between = _near_mean(face, of_face, sigma), _near_mean(picture, on_picture, sigma)
    result = (creases - weight)[..., None] * ((of_between - of_picture) * gain - (between - coarse))
    pores = (picture - of_between) * gain
    strong = cv2.GaussianBlur(np.square(pores).mean(axis=2), (0, 0), sigma) / _SKIN**2
    result -= (np.maximum(weight - creases, 0) * strong / (1 + strong))[..., None] * pores
    return result


def _near_mean(picture: np.ndarray, mask: np.ndarray, sigma: float) -> np.ndarray:
    """:func:`_mean` by a small Gaussian, of any rectangle."""
    share = mask[..., None] + np.float32(_ANYWHERE)
    both = cv2.GaussianBlur(np.concatenate([picture * share, share], -1).astype(np.float32), (0, 0), sigma)
    return both[..., :3] / both[..., 3:]


def _box(where: np.ndarray, *, reach: float) -> tuple[slice, slice]:
    """The rows and columns of a mask, and so many pixels beside them."""
    return tuple(  # type: ignore[return-value]
        slice(max(0, int(found[0] - reach)), int(found[-1] + reach) + 2) if len(found) else slice(0, 0)
        for found in (np.flatnonzero(where.any(axis=axis)) for axis in (1, 0))
    )


def creased(picture: np.ndarray, other: np.ndarray, *, sigma: float) -> np.ndarray:
    """Where one picture is more creased than another that lies on it: (s, s) float32, 0 to 1.

    Args:
        picture, other: (s, s, 3) float32 RGB in [0, 1], view space.
        sigma: pixels, what creases are finer than.
    """
    side = len(picture)
    small = min(side, max(1, round(side / (_PORES * sigma))))  # pores are a pixel
    one, two = (_unevenness(resized(each, small), sigma * small / side / 2) for each in (picture, other))
    share = np.clip(0.3 + 1.5 * (one - two) / (one + two + _SKIN), 0, 1)
    return np.clip(cv2.resize(share, (side, side), interpolation=cv2.INTER_CUBIC), 0, 1)


def _unevenness(picture: np.ndarray, sigma: float) -> np.ndarray:
    """How strong creases are about every place, as share of the light there."""
    mean = cv2.GaussianBlur(picture, (0, 0), sigma)
    change = ((picture + _FLOOR) / (mean + _FLOOR) - 1).mean(axis=2)
    return np.sqrt(cv2.GaussianBlur(np.square(change), (0, 0), sigma / 2))


def carry_light(
    face: np.ndarray,
    plate: np.ndarray,
    *,
    of_face: np.ndarray,
    of_plate: np.ndarray,
    sigma: float,
    complexion: bool = True,
) -> np.ndarray:
    """The generated face in the plate's light: what is coarser than sigma is the plate's, what is finer its share of that.

    Args:
        face, plate: (s, s, 3) float32 RGB in [0, 1], view space.
        of_face, of_plate: (s, s) float32 in [0, 1], where each is face.
        sigma: pixels; well above the size of features, which would ghost.
        complexion: the mean colour becomes the plate's too; else the light changes from place to place as the plate's does, and
            its mean stays the face's.

    Returns:
        (s, s, 3) float32 in [0, 1].
    """
    ours, theirs = _mean(face, of_face, sigma), _mean(plate, of_plate, sigma)
    gain = (theirs + _FLOOR) / (ours + _FLOOR)
    if not complexion:
        both = (of_face * of_plate)[..., None]
        means = [
            (picture * both).sum(axis=(0, 1)) / max(float(both.sum()), 1e-6) + _FLOOR for picture in (theirs, ours)
        ]
        gain *= means[1] / means[0]
    return np.clip(face * np.clip(gain, *_LIGHT), 0.0, 1.0)


def _mean(picture: np.ndarray, mask: np.ndarray, sigma: float) -> np.ndarray:
    """The picture's mean over a mask, by a Gaussian; far from the mask the picture's own."""
    side = len(picture)
    share = mask[..., None] + np.float32(_ANYWHERE)
    both = np.concatenate([picture * share, share], -1).astype(np.float32)
    # A wide Gaussian is as good on fewer pixels, and many times as fast.
    small = max(1, min(side, round(side * _FINEST / sigma)))
    if small < side:
        both = resized(both, small)
    both = cv2.GaussianBlur(both, (0, 0), sigma * len(both) / side)
    mean = np.asarray(both[..., :3] / both[..., 3:], np.float32)
    return mean if small >= side else cv2.resize(mean, (side, side), interpolation=cv2.INTER_CUBIC)
