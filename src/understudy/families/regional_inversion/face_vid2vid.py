"""face-vid2vid, the reenactor of the paper's own swaps: a picture does what another does, with weights that others published.

Wang, Mallya and Liu, *One-Shot Free-View Neural Talking-Head Synthesis for Video Conferencing*, CVPR 2021, in the layout of the
public implementation whose weights E4S uses (``vox-256`` with the SPADE generator). The weights are under CC BY-NC 4.0 and never
part of this package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from understudy.blocks.foreign import filled, read_dictionary, tensors_of
from understudy.errors import CheckpointError, InternalError
from understudy.families.regional_inversion.face_vid2vid_generator import Generator
from understudy.families.regional_inversion.face_vid2vid_points import Detector, Estimator, HeadMotion, KeyPoints, posed
from understudy.families.regional_inversion.face_vid2vid_settings import Vid2VidSettings
from understudy.tensors import choose_device

WEIGHT = "face-vid2vid"
"""Its row in the table of foreign weights."""
WANTED = "face-vid2vid's published file, 00000189-checkpoint.pth.tar"
PARTS = ("generator", "kp_detector", "he_estimator")
"""What is read of a published file; its discriminator and optimisers are left aside."""


class FaceVid2Vid(nn.Module):
    """The three networks."""

    def __init__(self, settings: Vid2VidSettings) -> None:
        super().__init__()
        self.settings = settings
        self.generator = Generator(settings)
        self.kp_detector = Detector(settings)
        self.he_estimator = Estimator(settings)


def load_published(path: Path | str, *, settings: Vid2VidSettings | None = None) -> FaceVid2Vid:
    """The networks with published weights, every one in its place.

    Args:
        settings: their shape; None for the published one. Whether key points have Jacobians is read off the file.

    Raises:
        CheckpointError: not there, damaged, holding what would have to run, or not these networks' weights.
    """
    found = read_dictionary(path, wanted=WANTED)
    missing = [name for name in PARTS if not isinstance(found.get(name), Mapping)]
    if missing:
        raise CheckpointError(
            f"{path} holds {', '.join(sorted(map(str, found))[:6])}, and no {' and no '.join(missing)}; name {WANTED}."
        )
    tensors = {name: tensors_of(found[name], f"{name} in {path}") for name in PARTS}
    shape = replace(settings or Vid2VidSettings(), jacobian="jacobian.weight" in tensors["kp_detector"])
    with torch.device("meta"):
        network = FaceVid2Vid(shape)
    for name in PARTS:
        filled(network.get_submodule(name), tensors[name], f"{name} in {path}")
    return network.eval().requires_grad_(False)


@dataclass(frozen=True, kw_only=True)
class DrivenSource:
    """A face that is driven, read once.

    Attributes:
        volume: (1, channels, depth, h, h).
        canonical: its key points without pose and expression.
        own: the same as its picture has them.
    """

    volume: Tensor
    canonical: KeyPoints
    own: KeyPoints


class Vid2VidDriver:
    """The networks at work on crops.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Attributes:
        size: side of the crops, pixels.
        oval_share: height of the face in them, as share of the side; about FFHQ's, as in the paper's swaps.
    """

    oval_share = 0.5

    def __init__(self, network: FaceVid2Vid, *, device: str = "auto") -> None:
        self.device = choose_device(device)
        self.network = network.eval().requires_grad_(False).to(self.device)
        self.size = network.settings.size

    @torch.inference_mode()
    def read(self, crop: np.ndarray) -> DrivenSource:
        """(size, size, 3) float32 RGB in [0, 1], view colour space: the face that is to be driven."""
        picture = self._picture(crop)
        canonical = self.network.kp_detector(picture)
        return DrivenSource(
            volume=self.network.generator.volumes(picture),
            canonical=canonical,
            own=posed(canonical, self.network.he_estimator(picture)),
        )

    @torch.inference_mode()
    def watch(self, crop: np.ndarray) -> np.ndarray:
        """(size, size, 3) as :meth:`read` -> (12 + 3 K,) float32, what the face in it does: pose, place, expression."""
        return self.network.he_estimator(self._picture(crop)).rows()[0].cpu().numpy()

    @torch.inference_mode()
    def drive(self, source: DrivenSource, watched: np.ndarray) -> np.ndarray:
        """The source doing what was watched, as it is and not from where a clip began (absolute key points).

        Returns:
            (size, size, 3) float32 RGB in [0, 1]; the head lies where the watched one lay in its crop.
        """
        motion = HeadMotion.from_rows(torch.from_numpy(np.asarray(watched, np.float32))[None].to(self.device))
        driving = posed(source.canonical, motion)
        made = self.network.generator(source.volume, driving=driving, source=source.own)
        return made[0].permute(1, 2, 0).float().cpu().numpy()

    def _picture(self, crop: np.ndarray) -> Tensor:
        if crop.shape != (self.size, self.size, 3):
            raise InternalError(f"face-vid2vid takes crops of {self.size} pixels a side, and this one is {crop.shape}.")
        picture = torch.from_numpy(np.ascontiguousarray(crop, np.float32)).permute(2, 0, 1)
        return picture[None].to(self.device)


@lru_cache(maxsize=1)
def open_driver(path: Path, *, device: str = "auto") -> Vid2VidDriver:
    """Published weights ready to drive; asked again for the same file, the same one.

    Raises:
        CheckpointError: as :func:`load_published`. OptionError: the device is not there.
    """
    return Vid2VidDriver(load_published(path), device=device)
