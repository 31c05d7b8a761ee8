"""A trained comb at work: crops in, crops out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from understudy.checkpoint import load_checkpoint
from understudy.errors import CheckpointError
from understudy.families.comb.network import CombNetwork
from understudy.families.comb.start import settings_of
from understudy.family import SwapResult
from understudy.tensors import choose_device, fast_precision

CHUNK = 4
"""Pictures in one pass. It never varies (the last pass is filled up), so that a frame's pixels do not depend on its neighbours."""


class CombPerformer:
    """Swaps faces, and shows the latent space."""

    def __init__(self, checkpoint: Path | str, *, device: str = "auto", precision: str = "auto") -> None:
        """
        Raises:
            CheckpointError: not a comb's weights.
            OptionError: the device is not there.
        """
        tensors, card = load_checkpoint(checkpoint, family="comb")
        if card.network.get("base"):
            raise CheckpointError(f"{checkpoint} is the base model, which knows no performer; train from it first.")
        self.card = card
        self.identities = tuple(card.network["identities"])
        self.network = CombNetwork(settings_of(card.network["settings"]), self.identities)
        self.network.finish_level()
        try:
            self.network.load_state_dict(tensors)
        except RuntimeError as error:
            raise CheckpointError(f"{checkpoint} does not hold the network its card describes: {error}") from error
        self.device = choose_device(device)
        self.precision = fast_precision(self.device) if precision == "auto" else precision
        self.network.eval().requires_grad_(False).to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.size = self.network.settings.resolution

    def _check(self, identity: str) -> str:
        self.network.branch(identity)
        return identity

    @torch.inference_mode()
    def encode(self, crops: np.ndarray) -> np.ndarray:
        """(B, size, size, 3) float32 RGB in [0, 1] -> (B, latent) float32."""
        latents = []
        for chunk, count in _chunks(np.asarray(crops, np.float32)):
            x = torch.from_numpy(chunk).permute(0, 3, 1, 2).to(self.device, memory_format=torch.channels_last)
            with self._autocast():
                latents.append(self.network.encode(x)[:count, :, 0, 0].float().cpu())
        return torch.cat(latents).numpy()

    @torch.inference_mode()
    def decode(self, latents: np.ndarray, identity: str) -> np.ndarray:
        """(B, latent) float32 -> (B, size, size, 3) float32 in [0, 1], as ``identity``."""
        self._check(identity)
        pictures = []
        for chunk, count in _chunks(np.asarray(latents, np.float32)):
            z = torch.from_numpy(chunk)[:, :, None, None].to(self.device)
            with self._autocast():
                picture = self.network.decode(z, identity)[:count].float()
            pictures.append(picture.permute(0, 2, 3, 1).cpu())
        return torch.cat(pictures).contiguous().numpy()

    def swap(self, crops: np.ndarray, identity: str) -> SwapResult:
        """(B, size, size, 3) float32 RGB in [0, 1] -> the same performances by ``identity``."""
        self._check(identity)
        return SwapResult(crops=self.decode(self.encode(crops), identity))

    def _autocast(self) -> torch.autocast:
        kind = self.device.split(":")[0]
        return torch.autocast(kind, torch.bfloat16, enabled=self.precision == "bf16")


def _chunks(rows: np.ndarray) -> Sequence[tuple[np.ndarray, int]]:
    """Rows in groups of ``CHUNK``, the last one filled up with copies of its last row, each with its true length."""
    chunks = []
    for first in range(0, len(rows), CHUNK):
        part = rows[first : first + CHUNK]
        filled = np.concatenate([part, np.repeat(part[-1:], CHUNK - len(part), 0)]) if len(part) < CHUNK else part
        chunks.append((np.ascontiguousarray(filled), len(part)))
    return chunks
