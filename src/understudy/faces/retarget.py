"""A performer's face onto another face's shape: what it does is taken over, what it is like is not.

Of the performer's mesh in frame t, laid onto the same mesh at rest, are known its pose R_t and, in the head's own frame,
its change D_t = c_t - c_0. The still's mesh, without its pose, is s_0. Wanted is the still's face doing the same:

    s_t = s_0 + k(p) D_t      k: how large the still's features are beside the performer's, feature by feature
    R   = R_t R_0' R_s        the still's head turns as far as the performer's has turned from rest

Lengths are in units of the mean mesh (``faces.align``), in which every face is about as high. The faces' shapes differ by
k alone, so an identical face gives the performer's own points back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import cv2
import numpy as np

from understudy.errors import FaceError
from understudy.faces import topology
from understudy.faces.align import MeshFit, canonical_transform, fit_mesh, mean_mesh

Head = Literal["turn", "follow", "still"]
"""What of a performer's head is taken over: its turning; also its place and size; nothing."""

_LEFT_LIDS = [(398, 382), (384, 381), (385, 380), (386, 374), (387, 373), (388, 390), (466, 249)]
_RIGHT_LIDS = [(246, 7), (161, 163), (160, 144), (159, 145), (158, 153), (157, 154), (173, 155)]
_LIPS = [(13, 14), (82, 87), (81, 178), (80, 88), (191, 95), (312, 317), (311, 402), (310, 318), (415, 324)]
# Upper and lower points that meet when eyes or mouth are shut.
_WITHIN = 0.05  # faces; how far a feature has a say beyond its own points
_NARROWEST = 0.008  # faces; an eye less open at rest than this says nothing about how far a lid can fall
_BROWS_OWN = 0.5  # share of how high the brows sit that is taken for the person's own
_LIKELY = (0.5, 2.0)  # ratios of two people's features; what lies beyond is a measurement gone wrong


@dataclass(frozen=True, kw_only=True)
class RestingHead:
    """A performer at rest: what frames are compared with.

    Attributes:
        mesh: (478, 3) float64, without pose, in units of the mean mesh.
        rotation: (3, 3), shift: (3,) pixels, scale: pixels a unit; the pose that counts as the performer's own.
    """

    mesh: np.ndarray
    rotation: np.ndarray
    shift: np.ndarray
    scale: float


def resting_head(meshes: np.ndarray, quiet: Sequence[int] | np.ndarray) -> RestingHead:
    """A performer's head at rest: the face of the quiet frames, and the usual pose of all.

    Args:
        meshes: (N, 478, 3) pixels, frames of one person.
        quiet: which of them show the face at rest; a single one is also the pose at rest.

    Raises:
        FaceError: landmarks that cannot be aligned, or no frame.
    """
    if not len(quiet):
        raise FaceError("A face at rest needs at least one picture with a face.")
    mesh = np.mean([without_pose(meshes[place], fit_mesh(meshes[place])) for place in quiet], axis=0)
    fits = [fit_mesh(meshes[place], mesh) for place in (quiet if len(quiet) == 1 else range(len(meshes)))]
    # The frame whose pose is nearest to all others': a median, so that looking aside now and then does not count.
    turns = np.stack([fit.rotation for fit in fits])
    some = turns[:: -(-len(turns) // 200)]
    middle = fits[int(np.abs(turns[:, None] - some[None]).sum(axis=(1, 2, 3)).argmin())]
    return RestingHead(
        mesh=mesh,
        rotation=middle.rotation,
        shift=np.median([fit.shift for fit in fits], axis=0),
        scale=float(np.median([fit.scale for fit in fits])),
    )


def without_pose(landmarks: np.ndarray, fit: MeshFit) -> np.ndarray:
    """(478, 3) float64 of a mesh in the frame of the mesh that ``fit`` laid on: upright, frontal, a face 1 high."""
    return ((np.asarray(landmarks, np.float64) - fit.shift) / fit.scale) @ fit.rotation


def retarget(
    meshes: np.ndarray,
    rest: RestingHead,
    still: np.ndarray,
    *,
    shape: bool = True,
    head: Head = "turn",
    absolute: bool = False,
    strength: float = 1.0,
) -> np.ndarray:
    """A still's mesh that does what a performer does.

    Args:
        meshes: (N, 478, 3) pixels of the performer's clip.
        rest: the performer at rest, from :func:`resting_head`.
        still: (478, 3) pixels of the still.
        shape: keep the shape of the still's face; False takes the performer's own features over.
        head: what of the head's movement is taken over; place and size always count from rest.
        absolute: the head looks where the performer's looks, instead of turning as far from where it looked.
        strength: share of change and turn, 0 to 2.

    Returns:
        (N, 478, 3) float32 pixels of the still.

    Raises:
        FaceError: landmarks that cannot be aligned.
    """
    own = fit_mesh(still)
    neutral = without_pose(still, own)
    ratios = feature_ratios(rest.mesh, neutral)
    result = np.empty(np.shape(meshes), np.float32)
    for target, points in zip(result, meshes, strict=True):
        fit = fit_mesh(points, rest.mesh)
        posed = without_pose(points, fit)
        if shape:
            change = strength * ratios.applied(posed - rest.mesh, posed)
            face = _uncrossed(neutral + change, neutral)
        else:
            face = posed
        rotation, scale, shift = own.rotation, own.scale, own.shift
        if head != "still":
            turn = fit.rotation @ (own.rotation if absolute else rest.rotation).T
            rotation = _share_of(turn, strength) @ own.rotation
        if head == "follow":
            scale = own.scale * (fit.scale / rest.scale) ** strength
            shift = own.shift + strength * (fit.shift - rest.shift) * (own.scale / rest.scale)
        target[:] = scale * face @ rotation.T + shift
    return result


def onto(other: np.ndarray, still: np.ndarray, *, shape: bool = True, head: Head = "turn") -> np.ndarray:
    """A still's mesh with the expression and pose of one picture of somebody else.

    One picture cannot tell how a face is made from what it does. Eyes and brows are laid into the still's face at its own eye
    corners, at its own proportions, and half of how much higher or lower the brows sit is taken for expression. The mouth is
    laid in where the still's upper lip is below the nose, and the jaw drops as far as it opens. The outline, the nose and
    everything between stay the still's; the form of the lips comes along.

    Pose is taken as it is in an upright crop of each picture, as the paper's aligned crops have it: a tilt is not taken over.

    Args:
        other, still: (478, 3) pixels of their pictures.
        shape: as :func:`retarget`; False takes all of the other's mesh.
        head: "still" keeps the still's own pose.

    Returns:
        (478, 3) float32 pixels of the still.

    Raises:
        FaceError: landmarks that cannot be aligned.
    """
    own, fit = fit_mesh(still), fit_mesh(other)
    neutral, face = without_pose(still, own), without_pose(other, fit)
    if shape:
        face = _uncrossed(_laid_in(face, neutral), neutral)
    rotation = own.rotation
    if head != "still":
        tilt = canonical_transform(still).params[3] - canonical_transform(other).params[3]
        rotation = cv2.Rodrigues(np.array([0.0, 0.0, tilt]))[0] @ fit.rotation
    return (own.scale * face @ rotation.T + own.shift).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class FeatureRatios:
    """How large one face's features are beside another's, point by point.

    Attributes:
        sizes: (478,) factor on a change.
        lids: of the right and the left eye, (upper and lower lid's pairs, opening at rest, factor on its closing).
    """

    sizes: np.ndarray
    lids: tuple[tuple[np.ndarray, float, float], ...]

    def applied(self, change: np.ndarray, posed: np.ndarray) -> np.ndarray:
        """The change (478, 3) of a performer whose mesh is now ``posed``, as the other face makes it.

        A lid falls by the same share of the eye's opening, so that a blink shuts any eye.
        """
        factors = np.repeat(self.sizes[:, None], 3, axis=1)
        for weight, (pairs, opening, closing) in zip(_lid_weights(), self.lids, strict=True):
            shut = float(np.clip((1.0 - _gap(posed, pairs) / opening) / 0.2, 0.0, 1.0))
            factors[:, 1] += weight * shut * (closing - factors[:, 1])
        return change * factors


def feature_ratios(performer: np.ndarray, still: np.ndarray) -> FeatureRatios:
    """Features of ``still`` beside those of ``performer``, both (478, 3) without pose and at rest.

    Eyes and brows by the eye's width, the mouth by its width, jaw and the rest by the height of the face.
    """
    sizes = np.array([_ratio(still, performer, *ends) for ends, _ in _features()])
    lids = []
    for pairs in (_RIGHT_LIDS, _LEFT_LIDS):
        opening = max(_gap(performer, np.array(pairs)), _NARROWEST)
        closing = float(np.clip(max(_gap(still, np.array(pairs)), 0.0) / opening, *_LIKELY))
        lids.append((np.array(pairs), opening, closing))
    return FeatureRatios(sizes=_shares() @ sizes, lids=tuple(lids))


def _ratio(still: np.ndarray, performer: np.ndarray, first: int, last: int) -> float:
    lengths = [float(np.linalg.norm(mesh[first] - mesh[last])) for mesh in (still, performer)]
    return float(np.clip(lengths[0] / max(lengths[1], 1e-9), *_LIKELY))


def _features() -> tuple[tuple[tuple[int, int], np.ndarray], ...]:
    """The two points whose distance is a feature's size, and the points that are the feature; the face is the last."""
    right = np.concatenate([topology.RIGHT_EYE, topology.RIGHT_BROW, topology.RIGHT_IRIS])
    left = np.concatenate([topology.LEFT_EYE, topology.LEFT_BROW, topology.LEFT_IRIS])
    lips = np.concatenate([topology.LIPS_OUTER, topology.LIPS_INNER])
    return (((33, 133), right), ((362, 263), left), ((61, 291), lips), ((10, 152), topology.FACE_OVAL))


@cache
def _shares() -> np.ndarray:
    """(478, 4) how much every feature has a say in every point, each row adding up to 1."""
    near = np.stack([_nearness(points) for _, points in _features()], axis=1)
    near[:, 3] = np.maximum(1.0 - near[:, :3].sum(axis=1), 0.0)
    return near / near.sum(axis=1, keepdims=True)


@cache
def _lid_weights() -> tuple[np.ndarray, np.ndarray]:
    """(478,) for the right and the left eye: 1 on its lids."""
    return tuple(_nearness(ring, within=_WITHIN / 2) for ring in (topology.RIGHT_EYE, topology.LEFT_EYE))  # type: ignore[return-value]


def _nearness(points: np.ndarray, *, within: float = _WITHIN) -> np.ndarray:
    """(478,) 1 on the points of a feature of the mean mesh, falling to 0 over a few times ``within``."""
    mesh = mean_mesh()
    away = np.linalg.norm(mesh[:, None] - mesh[None, points], axis=2).min(axis=1)
    return np.exp(-0.5 * (away / within) ** 2)


def _gap(mesh: np.ndarray, pairs: np.ndarray) -> float:
    """Mean vertical distance of lower from upper points."""
    return float((mesh[pairs[:, 1], 1] - mesh[pairs[:, 0], 1]).mean())


def _uncrossed(mesh: np.ndarray, neutral: np.ndarray) -> np.ndarray:
    """Lids and lips that would pass through one another meet half-way, unless they do so in the still's own mesh."""
    mesh = mesh.copy()
    for upper, lower in (*_RIGHT_LIDS, *_LEFT_LIDS, *_LIPS):
        least = min(0.0, neutral[lower, 1] - neutral[upper, 1])
        if mesh[lower, 1] - mesh[upper, 1] < least:
            middle = (mesh[lower, 1] + mesh[upper, 1]) / 2
            mesh[upper, 1], mesh[lower, 1] = middle - least / 2, middle + least / 2
    return mesh


def _share_of(rotation: np.ndarray, share: float) -> np.ndarray:
    """A share of a rotation: about the same axis, by that share of its angle."""
    return rotation if share == 1.0 else cv2.Rodrigues(cv2.Rodrigues(rotation)[0] * share)[0]


def _laid_in(face: np.ndarray, neutral: np.ndarray) -> np.ndarray:
    """``neutral`` with the features of ``face``, both (478, 3) without pose; see :func:`onto`."""
    source = np.concatenate([face[topology.STABLE], np.ones((len(topology.STABLE), 1))], axis=1)
    stretch = np.linalg.lstsq(source, neutral[topology.STABLE], rcond=None)[0]
    placed = np.concatenate([face, np.ones((len(face), 1))], axis=1) @ stretch
    result = neutral.copy()
    # The mouth's width is expression, so it keeps its size; how long the upper lip is below the nose is not.
    anchors = ((33, 133), (362, 263), (0,))
    for (ends, points), anchor in zip(_features()[:3], anchors, strict=True):
        there, here = placed[list(anchor)], neutral[list(anchor)]
        factor = 1.0 if ends == (61, 291) else _ratio(neutral, placed, *ends)
        laid = (placed - there.mean(axis=0)) * factor + here.mean(axis=0)
        result += _nearness(points)[:, None] * (laid - neutral)
    for brow in (topology.RIGHT_BROW, topology.LEFT_BROW):
        raised = float((result[brow, 1] - neutral[brow, 1]).mean())
        result[:, 1] -= _BROWS_OWN * raised * _nearness(brow, within=_WITHIN / 2)
    # The jaw follows the mouth: as far as the lips are parted more, or less, than the still's.
    drop = _gap(result, np.array(_LIPS)) - _gap(neutral, np.array(_LIPS))
    mesh = mean_mesh()
    low = np.clip((mesh[:, 1] - mesh[13, 1]) / (mesh[152, 1] - mesh[13, 1]), 0.0, 1.0)
    result[:, 1] += low**2 * (3 - 2 * low) * (1 - _nearness(_features()[2][1])) * drop
    return result
