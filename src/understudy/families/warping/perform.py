"""A trained warping network at work: a still and a drive in, crops and motion out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from understudy.errors import OptionError
from understudy.families.warping.network import Generator
from understudy.families.warping.start import load_generator
from understudy.family import AnimateResult, Drive
from understudy.tensors import choose_device

CHUNK = 4
"""Rows in one pass. It never varies (the last pass is filled up), so that a frame's pixels do not depend on its neighbours."""


class WarpingAnimator:
    """Animates stills (see ``understudy.family.Animator``).

    It is *anchored* unless told otherwise, which the paper does not know: what the network does to a still that is asked for
    nothing is taken off every answer, moved along with the face. With F the flow, c_s the still's own units and R what the
    refinement adds to a picture:

        F' = strength (F(I, c_t) - F(I, c_s))     O_w = I warped by F'     O = O_w + R(O_w) - (R(I) warped by F')

    A still that is asked for nothing then comes back as it is, and what follows grows out of it without a jump. For a drive
    by expression or without the still's units F(I, c_s) counts as 0.
    """

    def __init__(self, checkpoint: Path | str | Generator, *, device: str = "auto", anchored: bool = True) -> None:
        """
        Args:
            checkpoint: a warping checkpoint, or a generator that is already there (``official.load_official``).
            anchored: False gives the paper's own answers.

        Raises:
            CheckpointError: not a warping network's weights.
            OptionError: the device is not there.
        """
        generator = checkpoint if isinstance(checkpoint, Generator) else load_generator(checkpoint)
        self.device = choose_device(device)
        # Always float32: at 4K the motion is stretched 32 times, and bf16's steps would be seen.
        self.generator = generator.eval().requires_grad_(False).float()
        self.generator.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.settings = generator.settings
        self.anchored = anchored
        self.size = self.settings.size
        self.signals = frozenset({"units" if self.settings.by_units else "expression"})
        self.expressions = self.settings.expressions
        self.oval_share = self.settings.oval_share

    @torch.inference_mode()
    def animate(self, still: np.ndarray, drive: Drive) -> AnimateResult:
        """(size, size, 3) float32 RGB in [0, 1] -> one crop and motion for every row of ``drive``.

        Rows without strength, and rows that ask an anchored still for its own units, are the still itself, bit for bit.

        Raises:
            OptionError: the still has another size, or the drive is not one that this network understands.
        """
        still = np.asarray(still, np.float32)
        if still.shape != (self.size, self.size, 3):
            raise OptionError(f"the still is {still.shape} and this network takes ({self.size}, {self.size}, 3).")
        rows, own = self._rows(drive)
        strength = np.asarray(drive.strength, np.float32)
        asked = strength != 0
        if own is not None and self.anchored:
            asked &= (rows != own).any(1)
        picture = (torch.from_numpy(still).permute(2, 0, 1)[None] * 2 - 1).to(self.device)
        pictures = picture.expand(CHUNK, -1, -1, -1).contiguous(memory_format=torch.channels_last)
        rest = self._flow(pictures, own)[:1] if own is not None and self.anchored else 0.0
        added = self.generator.refined(pictures)[:1] - picture if self.anchored else None

        crops = np.repeat(still[None], len(rows), 0)
        motion = np.zeros((len(rows), self.size, self.size, 2), np.float32)
        share = self.settings.coefficient * (self.size - 1) / self.size
        for places in chunks(np.flatnonzero(asked)):
            # The last place fills a chunk up; its answer is the same each time.
            factor = torch.from_numpy(strength[places])[:, None, None, None].to(self.device)
            flow = (self._flow(pictures, rows[places]) - rest) * factor
            made = self.generator.refined(self.generator.carry(pictures, flow), flow)
            if added is not None:
                made = made - self.generator.carry(added.expand(CHUNK, -1, -1, -1), flow)
            made = (made.clamp(-1, 1) + 1) / 2
            crops[places] = made.permute(0, 2, 3, 1).cpu().numpy()
            # align_corners=True: 2 is from the first pixel's centre to the last one's, a pixel less than the side.
            motion[places] = (flow * share).permute(0, 2, 3, 1).cpu().numpy()
        return AnimateResult(crops=crops, motion=motion)

    def _flow(self, pictures: Tensor, signals: np.ndarray) -> Tensor:
        """(CHUNK, 2, s, s) flow for (CHUNK, c) or (c,) signals."""
        rows = torch.from_numpy(np.broadcast_to(signals, (CHUNK, self.settings.signals)).copy()).to(self.device)
        return self.generator.motion(pictures, rows)

    def _rows(self, drive: Drive) -> tuple[np.ndarray, np.ndarray | None]:
        """(B, c) signals as the network sees them, and (c,) of the still where they are known."""
        count, settings = len(drive.strength), self.settings
        if settings.by_units:
            if drive.units is None or drive.units.shape != (count, settings.signals):
                found = "none" if drive.units is None else f"of shape {drive.units.shape}"
                raise OptionError(
                    f"this network is driven by {settings.signals} action units, ({count}, {settings.signals}) of them, and the "
                    f"drive has {found}; give it units."
                )
            scaled = lambda units: np.asarray(units, np.float32) / np.float32(settings.unit_scale)  # noqa: E731
            return scaled(drive.units), None if drive.still_units is None else scaled(drive.still_units)
        if drive.expression not in settings.expressions:
            raise OptionError(
                f"expression {drive.expression}: this network knows {', '.join(settings.expressions)}; choose one of these."
            )
        one_hot = np.zeros((count, settings.signals), np.float32)
        one_hot[:, settings.expressions.index(drive.expression)] = 1
        return one_hot, None


def chunks(places: np.ndarray) -> Iterator[np.ndarray]:
    """Indices in groups of ``CHUNK``, the last group filled up with its last one."""
    for first in range(0, len(places), CHUNK):
        part = places[first : first + CHUNK]
        yield np.concatenate([part, np.repeat(part[-1:], CHUNK - len(part))])
