"""Networks that recognise faces, as a loss: ArcFace's IR-SE-50, the paper's, or MobileFaceNet from its ONNX file.

Both answer at several depths, and last with the face's embedding. Pictures are (B, 3, s, s) RGB in [-1, 1].
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.blocks.onnx_graph import OnnxGraph
from understudy.errors import CheckpointError
from understudy.faces.align import OVAL_CENTRE, mean_mesh
from understudy.families.regional_inversion.encoder import stages
from understudy.families.regional_inversion.parsing_network import standardised
from understudy.metrics.identity import SIDE, five_points, similarity_to_template

IDENTITY_TAPS = (2, 6, 20, 23)
IDENTITY_SIDE, IDENTITY_CROP = 256, (slice(35, 223), slice(32, 220))


class IdentityNetwork(nn.Module):
    """ArcFace's IR-SE-50: (B, 3, s, s) -> five answers, of four depths and the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.input_layer = nn.Sequential(nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64))
        self.body = nn.Sequential(*stages((64, 64, 128, 256, 512), (3, 4, 14, 3), nn.BatchNorm2d))
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(512), nn.Dropout(0.5), nn.Flatten(), nn.Linear(512 * 7 * 7, 512), nn.BatchNorm1d(512)
        )

    def forward(self, pictures: Tensor) -> list[Tensor]:
        pool = functional.adaptive_avg_pool2d
        rows, columns = IDENTITY_CROP
        x = self.input_layer(pool(pool(pictures, IDENTITY_SIDE)[:, :, rows, columns], 112))
        answers = []
        for index, block in enumerate(self.body):
            x = block(x)
            if index in IDENTITY_TAPS:
                answers.append(x.flatten(1))
        return [*answers, self.output_layer(x)]


class OnnxIdentity(nn.Module):
    """A recogniser of 112² faces that an ONNX file holds: (B, 3, s, s) canonical crops -> its answers.

    They are the last map of each side between the picture's and 1, as IR-SE-50's are the ends of its stages, and the embedding.
    A crop's face lies where a neutral frontal one lies in it, so the cut to ArcFace's template is the same for all.
    """

    place: Tensor

    def __init__(self, path: Path | str, *, oval_share: float = 0.5) -> None:
        """
        Args:
            oval_share: height of a neutral face as share of the crop's side (``canonical_transform``).

        Raises:
            CheckpointError: unreadable, or no network of one picture of 112² to one embedding.
        """
        super().__init__()
        self.graph = OnnxGraph(path)
        matrix, self.scale = template_place(oval_share)
        self.register_buffer("place", torch.from_numpy(matrix).float(), persistent=False)
        if len(self.graph.inputs) != 1 or len(self.graph.outputs) != 1:
            raise CheckpointError(f"{path} is no recogniser of faces: it takes and gives more than one thing.")
        with torch.no_grad():
            values = self.graph.values(torch.zeros(1, 3, SIDE, SIDE))
        last = self.graph.outputs[0]
        if last not in values or values[last].numel() < 2 or len(values[last]) != 1:
            raise CheckpointError(f"{path} is no recogniser of faces: it gives no embedding of a picture.")
        depths = {x.shape[2]: name for name, x in values.items() if x.dim() == 4 and 1 < x.shape[2] < SIDE}
        self.taps = [depths[side] for side in sorted(depths, reverse=True)]

    def aligned(self, pictures: Tensor) -> Tensor:
        """(B, 3, s, s) crops -> (B, 3, 112, 112), eyes and mouth where ArcFace's template has them, as ImageNet's are scaled."""
        pictures = pictures.float()
        times = int(pictures.shape[-1] / self.scale)
        if times > 1:  # bilinear sampling would pass pixels over
            pictures = functional.adaptive_avg_pool2d(pictures, pictures.shape[-1] // times)
        places = functional.affine_grid(
            self.place.expand(len(pictures), 2, 3), [len(pictures), 3, SIDE, SIDE], align_corners=False
        )
        faces = functional.grid_sample(pictures, places, padding_mode="border", align_corners=False)
        return standardised((faces + 1) / 2)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        with torch.autocast(pictures.device.type, enabled=False):
            values = self.graph.values(self.aligned(pictures))
        return [values[name].flatten(1) for name in (*self.taps, self.graph.outputs[0])]


def template_place(oval_share: float) -> tuple[np.ndarray, float]:
    """Where ArcFace's 112² picture lies in a canonical crop.

    Returns:
        (2, 3) from places in that picture to places in the crop, both -1 to 1 from edge to edge, as ``affine_grid`` takes it; and
        how many of that picture's pixels the crop's side is.
    """
    neutral = np.array(OVAL_CENTRE) + oval_share * mean_mesh()[:, :2]
    to_template = similarity_to_template(five_points(neutral))
    linear, shift = to_template[:, :2], to_template[:, 2] + 0.5  # the template counts from the first pixel's centre
    back = np.linalg.inv(linear)
    # picture pixel = (place + 1) / 2 * SIDE; crop place = 2 * back (pixel - shift) - 1
    matrix = np.concatenate([back * SIDE, (2 * back @ (SIDE / 2 - shift) - 1)[:, None]], axis=1)
    return matrix, float(np.sqrt(np.linalg.det(linear)))


def load_identity(path: Path) -> IdentityNetwork:
    """From ``model_ir_se50.pth``.

    Raises:
        CheckpointError: unreadable, or not this network.
    """
    from understudy.blocks.foreign import filled, read_tensors

    return filled(IdentityNetwork(), read_tensors(path), path).eval().requires_grad_(False)


def load_onnx_identity(path: Path, *, oval_share: float) -> OnnxIdentity:
    """From an ONNX file. Raises as :class:`OnnxIdentity` does."""
    return OnnxIdentity(path, oval_share=oval_share).eval().requires_grad_(False)
