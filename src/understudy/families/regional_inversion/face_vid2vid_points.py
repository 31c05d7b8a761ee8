"""face-vid2vid's key points: where they lie on a face whatever it does, and what pose and expression make of them.

Key points are x, y, z in [-1, 1]: across, down and into the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.families.regional_inversion.face_vid2vid_layers import Block, Bottleneck, Shrunk, places
from understudy.families.regional_inversion.face_vid2vid_settings import (
    BIN_DEGREES,
    BINS,
    LOWEST_DEGREES,
    Vid2VidSettings,
)

_PI = 3.14
"""The published weights were trained with this."""


@dataclass(frozen=True, kw_only=True)
class KeyPoints:
    """Key points of B faces.

    Attributes:
        values: (B, K, 3).
        jacobians: (B, K, 3, 3) what lies around each is turned and stretched by, or None.
    """

    values: Tensor
    jacobians: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class HeadMotion:
    """What B faces do.

    Attributes:
        rotation: (B, 3, 3) of the head.
        shift: (B, 3) of the head.
        deviations: (B, K, 3) what the expression adds to each key point.
    """

    rotation: Tensor
    shift: Tensor
    deviations: Tensor

    def rows(self) -> Tensor:
        """(B, 12 + 3 K) all of it."""
        return torch.cat([part.flatten(1) for part in (self.rotation, self.shift, self.deviations)], 1)

    @classmethod
    def from_rows(cls, rows: Tensor) -> HeadMotion:
        """The inverse of :meth:`rows`."""
        return cls(
            rotation=rows[:, :9].unflatten(1, (3, 3)),
            shift=rows[:, 9:12],
            deviations=rows[:, 12:].unflatten(1, (-1, 3)),
        )


def degrees(classes: Tensor) -> Tensor:
    """(B, 66) an angle's classes, as a network answers -> (B,) the mean angle."""
    numbers = torch.arange(BINS, dtype=classes.dtype, device=classes.device)
    return classes.softmax(1) @ numbers * BIN_DEGREES + LOWEST_DEGREES


def rotation(*, yaw: Tensor, pitch: Tensor, roll: Tensor) -> Tensor:
    """(B,) degrees each -> (B, 3, 3): turned by roll about z first, then by yaw about y, then by pitch about x."""
    cosines, sines = zip(
        *((torch.cos(a / 180 * _PI), torch.sin(a / 180 * _PI)) for a in (pitch, yaw, roll)), strict=True
    )
    one, zero = torch.ones_like(yaw), torch.zeros_like(yaw)
    rows = (
        (one, zero, zero, zero, cosines[0], -sines[0], zero, sines[0], cosines[0]),
        (cosines[1], zero, sines[1], zero, one, zero, -sines[1], zero, cosines[1]),
        (cosines[2], -sines[2], zero, sines[2], cosines[2], zero, zero, zero, one),
    )
    about_x, about_y, about_z = (torch.stack(row, -1).unflatten(-1, (3, 3)) for row in rows)
    return about_x @ about_y @ about_z


def posed(canonical: KeyPoints, motion: HeadMotion) -> KeyPoints:
    """Key points of faces that do this: R x + t + d (face-vid2vid, eq. 1)."""
    turned = canonical.values @ motion.rotation.mT
    slopes = canonical.jacobians
    return KeyPoints(
        values=turned + motion.shift[:, None] + motion.deviations,
        jacobians=None if slopes is None else motion.rotation[:, None] @ slopes,
    )


def mean_places(heat: Tensor) -> Tensor:
    """(B, K, d, h, w) heat maps, sums of 1 -> (B, K, 3) their centres."""
    return torch.einsum("bkdhw,dhwc->bkc", heat, places(*heat.shape[2:], like=heat))


class _Hourglass(nn.Module):
    """A picture down to a small one, which is read as a volume, and up again."""

    def __init__(self, settings: Vid2VidSettings) -> None:
        super().__init__()
        widths = settings.hourglass(settings.detector_width, settings.detector_widest, settings.detector_levels)
        self.down_blocks, self.up_blocks = nn.Sequential(), nn.Sequential()
        for level, made in enumerate(widths[1:]):
            given = widths[level] if level else 3
            self.down_blocks.add_module(f"down{level}", Block(given, made, change="half"))
        self.conv = nn.Conv2d(widths[-1], widths[-1] * settings.depth, 1)
        for number, level in enumerate(range(settings.detector_levels, 0, -1)):
            block = Block(widths[level], widths[level - 1], dimensions=3, change="double")
            self.up_blocks.add_module(f"up{number}", block)
        self._depth = settings.depth

    def forward(self, pictures: Tensor) -> Tensor:
        flat = self.conv(self.down_blocks(pictures))
        return self.up_blocks(flat.unflatten(1, (-1, self._depth)))


class Detector(nn.Module):
    """Where a face's key points would lie if it looked straight ahead and did nothing (``kp_detector``)."""

    def __init__(self, settings: Vid2VidSettings) -> None:
        super().__init__()
        self.predictor = _Hourglass(settings)
        width = settings.detector_width
        self.kp = nn.Conv3d(width, settings.points, 3, padding=1)
        self.jacobian = nn.Conv3d(width, 9 * settings.points, 3, padding=1) if settings.jacobian else None
        self.down = Shrunk(3, settings.shrink)
        self._temperature = settings.temperature

    def forward(self, pictures: Tensor) -> KeyPoints:
        """(B, 3, s, s) RGB in [0, 1] -> canonical key points."""
        seen = self.predictor(self.down(pictures))
        logits = self.kp(seen)
        heat = (logits.flatten(2) / self._temperature).softmax(2).view_as(logits)
        slopes = None
        if self.jacobian is not None:
            each = self.jacobian(seen).unflatten(1, (heat.shape[1], 9))
            slopes = torch.einsum("bkdhw,bkjdhw->bkj", heat, each).unflatten(2, (3, 3))
        return KeyPoints(values=mean_places(heat), jacobians=slopes)


class Estimator(nn.Module):
    """What a face does (``he_estimator``): a ResNet-50 of a kind, with an answer for every angle, for place and expression."""

    def __init__(self, settings: Vid2VidSettings) -> None:
        super().__init__()
        first = settings.estimator_width
        widths = [first << level for level in range(2, 6)]
        self.conv1, self.norm1 = nn.Conv2d(3, first, 7, padding=3, stride=2), nn.BatchNorm2d(first)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        # At each width blocks that keep the size; before them, but at the first, one that halves it.
        self._stages: list[tuple[str, ...]] = []
        given, block = first, 0
        for number, (width, kept) in enumerate(zip(widths, (3, 3, 5, 2), strict=True), 2):
            names = [f"conv{number}", f"norm{number}"]
            self.add_module(names[0], nn.Conv2d(given, width, 1))
            self.add_module(names[1], nn.BatchNorm2d(width))
            if number > 2:
                block += 1
                names.append(f"block{block}")
                self.add_module(names[-1], Bottleneck(width, stride=2))
            block += 1
            names.append(f"block{block}")
            row = nn.Sequential()
            for place in range(kept):
                row.add_module(f"b{block}_{place}", Bottleneck(width))
            self.add_module(names[-1], row)
            self._stages.append(tuple(names))
            given = width
        self.fc_roll, self.fc_pitch, self.fc_yaw = (nn.Linear(given, BINS) for _ in range(3))
        self.fc_t = nn.Linear(given, 3)
        self.fc_exp = nn.Linear(given, 3 * settings.points)

    def forward(self, pictures: Tensor) -> HeadMotion:
        """(B, 3, s, s) RGB in [0, 1] -> what the faces do."""
        x = self.maxpool(functional.relu(self.norm1(self.conv1(pictures))))
        for convolution, normalisation, *blocks in self._stages:
            x = functional.relu(self.get_submodule(normalisation)(self.get_submodule(convolution)(x)))
            for name in blocks:
                x = self.get_submodule(name)(x)
        x = x.mean((2, 3))
        # The published networks took roll and yaw for each other in training, so that what answers yaw is called roll.
        yaw, pitch, roll = (degrees(answer(x)) for answer in (self.fc_roll, self.fc_pitch, self.fc_yaw))
        return HeadMotion(
            rotation=rotation(yaw=yaw, pitch=pitch, roll=roll),
            shift=self.fc_t(x),
            deviations=self.fc_exp(x).unflatten(1, (-1, 3)),
        )
