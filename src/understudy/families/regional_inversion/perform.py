"""A trained inversion network at work: textures read off faces, and faces made of textures and shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from understudy.checkpoint import read_card
from understudy.errors import CheckpointError, OptionError, WeightsError
from understudy.families.regional_inversion import recompose
from understudy.families.regional_inversion.discriminator import Discriminator
from understudy.families.regional_inversion.judges import Judges, find_judges
from understudy.families.regional_inversion.losses import InversionLosses, reconstruction_loss
from understudy.families.regional_inversion.network import Inversion
from understudy.families.regional_inversion.places import RegionMaps
from understudy.families.regional_inversion.recipes import INVERSION, recipe
from understudy.families.regional_inversion.settings import NUM_REGIONS
from understudy.families.regional_inversion.start import has_discriminator, load_discriminator, load_inversion
from understudy.family import FaceParts, JoinedFace, Textures
from understudy.tensors import choose_device

MAP_SIDE = 512
"""Most pixels a side that a region map is asked for; the published code's."""
_BLURRED = 5.0
"""Standard deviation of what these networks blur, in pixels of theirs: a mouth's corner or a lid's line of `preview` is no
sharper."""


class RegionalPerformer:
    """Reads and makes faces (see ``understudy.family.RegionEditor``). Noise is fixed, so frames do not flicker by it."""

    def __init__(self, checkpoint: Path | str | Inversion, *, device: str = "auto") -> None:
        """
        Args:
            checkpoint: of an inversion, or a network that is already there.

        Raises:
            CheckpointError: not an inversion's weights.
            OptionError: the device is not there.
        """
        self._path = None if isinstance(checkpoint, Inversion) else Path(checkpoint)
        network = checkpoint if isinstance(checkpoint, Inversion) else load_inversion(checkpoint)
        self.device = choose_device(device)
        # Always float32: the picture is a sum over many levels, and steps of bf16 would be seen.
        self.network = network.eval().requires_grad_(False).float()
        self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        settings = network.settings
        self.size, self.oval_share = settings.size, settings.oval_share
        self.map_size = min(settings.size, MAP_SIDE)
        self.detail_size = _BLURRED / settings.size

    @torch.inference_mode()
    def read(self, crops: np.ndarray, regions: np.ndarray) -> Textures:
        """The textures of faces, S = F_φ(I, M) (eq. 1).

        Args:
            crops: (B, size, size, 3) float32 RGB in [0, 1], view colour space.
            regions: (B, h, h) uint8 region maps of the same crops.

        Raises:
            OptionError: of other shapes.
        """
        crops, regions = np.asarray(crops, np.float32), np.asarray(regions)
        self._check(crops, regions)
        # One after another: what a picture gives does not depend on the others.
        rows = [
            self.network.vectors(self._picture(crop), RegionMaps(self._labels(labels)))[0].cpu().numpy()
            for crop, labels in zip(crops, regions, strict=True)
        ]
        shown = np.stack([np.bincount(labels.ravel(), minlength=NUM_REGIONS) > 0 for labels in regions])
        return Textures(values=np.stack(rows), shown=shown)

    @torch.inference_mode()
    def make(self, values: np.ndarray, regions: np.ndarray) -> np.ndarray:
        """Faces of textures (B, 12, L) and region maps (B, h, h): (B, size, size, 3) float32 in [0, 1]."""
        faces = []
        for row, labels in zip(values, np.asarray(regions), strict=True):
            vectors = torch.from_numpy(np.ascontiguousarray(row, np.float32))[None].to(self.device)
            made = self.network.G(self.network.codes(vectors), RegionMaps(self._labels(labels)))
            faces.append(((made[0].clamp(-1, 1) + 1) / 2).permute(1, 2, 0).cpu().numpy())
        return np.stack(faces)

    def join(
        self,
        target: FaceParts,
        driven: FaceParts,
        *,
        regions: Sequence[str] = (),
        order: str = "paper",
        moving: bool = False,
    ) -> JoinedFace:
        """M_swap and S_swap (section 3.1), and where the result is laid in; see :mod:`recompose`.

        Raises:
            OptionError: an unknown region or order, or maps of unlike size.
        """
        side = max(self.size, len(target.regions))
        return recompose.join_faces(target, driven, regions=regions, order=order, moving=moving, side=side)

    def terms(self) -> tuple[dict[str, float], tuple[str, ...]]:
        """The loss terms that :meth:`optimise` has, with their weights: the preset's without the adversarial one; and those whose
        networks are not at hand."""
        card = read_card(self._path) if self._path is not None else None
        try:
            losses: Mapping[str, Any] = recipe(card.preset if card else "preview", stage=INVERSION).losses
        except OptionError:
            losses = recipe("paper-1024", stage=INVERSION).losses
        weights = {name: float(value) for name, value in losses.items() if isinstance(value, float) and value > 0}
        for name in ("adversarial", "r1", "detail", "code_length"):
            weights.pop(name, None)
        missing = []
        if self._path is None or not has_discriminator(self._path):
            missing += [name for name in ("features",) if name in weights]
        for name in ("lpips", "identity", "parsing"):
            # One that stands in for the paper's is asked where it taught the checkpoint alone: it also measures, and what is
            # fitted by it cannot be measured by it.
            try:
                find_judges({name: weights.get(name, 0.0)}, stand_ins=card.taught_by if card else ())
            except (WeightsError, CheckpointError):
                missing.append(name)
        return {name: value for name, value in weights.items() if name not in missing}, tuple(missing)

    def optimise(
        self,
        crop: np.ndarray,
        regions: np.ndarray,
        values: np.ndarray,
        *,
        steps: int = 200,
        rate: float = 1e-2,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> tuple[np.ndarray, list[float]]:
        """RGI-Optim.: textures fitted to one picture (section 7, Table 3).

        Adam on the 12 rows; the network stays as it is. The answer is the step with the lowest loss, so it is never worse than
        where it began.

        Args:
            crop: (size, size, 3) float32 RGB in [0, 1].
            regions: (h, h) uint8.
            values: (12, L) where to begin, from :meth:`read`.
            steps, rate: the published code's.

        Returns:
            (12, L) float32, and the loss before every step and at the end.
        """
        weights, _ = self.terms()
        terms: dict[str, Any] = {**dict.fromkeys(_OFF, 0.0), **weights}
        losses = InversionLosses(**terms)
        judges = find_judges(weights, oval_share=self.oval_share) if weights else Judges()
        judges.to(torch.device(self.device))
        discriminator = self._discriminator() if losses.features > 0 else None
        truth = self._picture(np.asarray(crop, np.float32))
        maps = RegionMaps(self._labels(regions))
        vectors = torch.from_numpy(np.array(values, np.float32))[None].to(self.device).requires_grad_(True)
        optimiser = torch.optim.Adam([vectors], lr=rate)
        best, lowest, curve = vectors.detach().clone(), float("inf"), []
        for step in range(steps + 1):
            made = self.network.G(self.network.codes(vectors), maps)
            total, _ = reconstruction_loss(made, truth, losses, judges, discriminator=discriminator)
            curve.append(float(total.detach()))
            if curve[-1] < lowest:
                best, lowest = vectors.detach().clone(), curve[-1]
            progress(step, steps)
            if step < steps:
                optimiser.zero_grad()
                total.backward()
                optimiser.step()
        return best[0].cpu().numpy(), curve

    def _discriminator(self) -> Discriminator:
        assert self._path is not None
        return load_discriminator(self._path).eval().requires_grad_(False).to(self.device)

    def _picture(self, crop: np.ndarray) -> Tensor:
        return (torch.from_numpy(np.ascontiguousarray(crop)).permute(2, 0, 1)[None] * 2 - 1).to(self.device)

    def _labels(self, labels: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(labels, np.uint8))[None].to(self.device)

    def _check(self, crops: np.ndarray, regions: np.ndarray) -> None:
        if crops.ndim != 4 or crops.shape[1:] != (self.size, self.size, 3):
            raise OptionError(f"the crops are {crops.shape[1:]} and this network takes ({self.size}, {self.size}, 3).")
        if regions.ndim != 3 or len(regions) != len(crops) or regions.shape[1] != regions.shape[2]:
            raise OptionError(f"the region maps are {regions.shape} for {len(crops)} crops; they must be (B, h, h).")
        if regions.max(initial=0) >= NUM_REGIONS:
            raise OptionError(f"a region map holds the id {regions.max()}; regions are 0 to {NUM_REGIONS - 1}.")


_OFF = ("l2", "lpips", "identity", "parsing", "adversarial")
