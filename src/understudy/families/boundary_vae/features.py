"""ψ_l of the reconstruction loss: features in which two pictures are compared.

``filters`` is what is there without a download: derivatives of Gaussians of first and second order at four scales, in
brightness and two colour differences, each answer r pressed to r / (0.1 + |r|), so that a faint texture counts like a strong one
and a blur costs.
``vgg19`` is the usual network (Simonyan and Zisserman 2014), read from the file that torchvision publishes where the user has it.
No network by which results are measured is among them: what one learns from can no longer judge.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.errors import OptionError, WeightsError
from understudy.provenance.weights import cache_folder, models_folder

PERCEPTUAL = ("filters", "vgg19")
_VGG_BLOCKS = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4)
_VGG_CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28)
"""Numbers of the convolutions in torchvision's ``features``, up to conv5_1; relu5_2 follows one more, 30."""
_VGG_TAPPED = (2, 7, 12, 21, 30)
"""conv1_2, 2_2, 3_2, 4_2 and 5_2, whose rectified answers are compared (as in Chen and Koltun 2017)."""
_VGG_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
"""λ_l: pix2pixHD's, for mean absolute differences. The paper gives none."""


class FilterFeatures(nn.Module):
    """Derivatives at four scales, no weights to load."""

    kernels: Tensor
    colours: Tensor
    scales = 4
    weights: tuple[float, ...] = (0.25,) * scales
    """λ_l."""

    def __init__(self) -> None:
        super().__init__()
        at = torch.arange(-2, 3, dtype=torch.float32)
        smooth = torch.exp(-(at**2) / 2)
        smooth = smooth / smooth.sum()
        first, second = -at * smooth, (at**2 - 1) * smooth
        second = second - second.mean()  # a flat picture answers 0 in spite of the cut at two pixels
        pairs = ((first, smooth), (smooth, first), (second, smooth), (smooth, second), (first, first))
        kernels = torch.stack([torch.outer(down, across) for down, across in pairs])
        kernels = kernels / kernels.abs().sum((1, 2), keepdim=True)
        self.register_buffer("kernels", kernels[:, None].repeat(3, 1, 1, 1), persistent=False)
        colours = torch.tensor([[1 / 3, 1 / 3, 1 / 3], [0.5, -0.5, 0.0], [0.25, 0.25, -0.5]])
        self.register_buffer("colours", colours[:, :, None, None], persistent=False)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """(B, 3, s, s) in [-1, 1] -> four answers (B, 15, s, s) to (B, 15, s/8, s/8)."""
        x = functional.conv2d(pictures.float(), self.colours)
        answers = []
        for scale in range(self.scales):
            if scale:
                x = functional.avg_pool2d(x, 2)
            found = functional.conv2d(functional.pad(x, (2, 2, 2, 2), mode="replicate"), self.kernels, groups=3)
            answers.append(found / (0.1 + found.abs()))
        return answers


class VggFeatures(nn.Module):
    """VGG19 up to relu5_2, held."""

    mean: Tensor
    deviation: Tensor
    weights: tuple[float, ...] = _VGG_WEIGHTS
    """λ_l."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for block in _VGG_BLOCKS:
            for outputs in block:
                layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
                inputs = outputs
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers[: _VGG_TAPPED[-1] + 2])
        mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        self.register_buffer("mean", mean[:, None, None], persistent=False)
        self.register_buffer("deviation", deviation[:, None, None], persistent=False)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """(B, 3, s, s) in [-1, 1] -> five answers, relu1_2 to relu5_2."""
        x, answers = ((pictures + 1) / 2 - self.mean) / self.deviation, []
        for place, layer in enumerate(self.features):
            x = layer(x)
            if place - 1 in _VGG_TAPPED:
                answers.append(x)
        return answers


def feature_network(name: str) -> FilterFeatures | VggFeatures:
    """The features called ``name``, without anything to train.

    Raises:
        OptionError: no such features.
        WeightsError: ``vgg19`` and no file of it, or one that does not hold it.
    """
    if name == "filters":
        return FilterFeatures()
    if name != "vgg19":
        raise OptionError(f"boundary_vae: perceptual features {name!r}; choose {' or '.join(PERCEPTUAL)}.")
    return load_vgg(find_vgg()).eval().requires_grad_(False)


def find_vgg() -> Path:
    """torchvision's VGG19 on this machine: ``vgg19*.safetensors`` or ``vgg19-HASH.pth``.

    Raises:
        WeightsError: it is not there.
    """
    for folder in (models_folder(), cache_folder()):
        if folder is not None and folder.is_dir():
            found = sorted([*folder.glob("vgg19*.safetensors"), *folder.glob("vgg19-*.pth")])
            if found:
                return found[0]
    raise WeightsError(
        "VGG19 is not on this machine; put torchvision's vgg19-dcbb9e9d.pth (or the same tensors as vgg19.safetensors) into the "
        "folder that UNDERSTUDY_MODELS names, or train a preset that compares by filters, such as paper."
    )


def load_vgg(path: Path) -> VggFeatures:
    """VGG19 by torchvision's layout, ``features.N.weight`` and ``features.N.bias``; what follows relu5_2 is not read.

    Raises:
        WeightsError: unreadable, other tensors, or not the file that its own name promises.
    """
    network = VggFeatures()
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            tensors = load_file(path)
        else:
            _check_name(path)
            tensors = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict({name: tensors[name] for name in network.state_dict()})
    except WeightsError:
        raise
    except Exception as error:  # whatever a foreign file makes a reader raise
        raise WeightsError(
            f"{path} does not hold VGG19 as torchvision publishes it ({error}); download vgg19-dcbb9e9d.pth anew."
        ) from error
    return network


def _check_name(path: Path) -> None:
    """torchvision writes the first digits of a file's SHA-256 into its name."""
    promised = re.search(r"-([0-9a-f]{8,64})\.", path.name)
    if promised and not hashlib.sha256(path.read_bytes()).hexdigest().startswith(promised[1]):
        raise WeightsError(f"{path} is damaged: its SHA-256 does not begin with {promised[1]}; download it anew.")


def feature_distance(
    answers: Sequence[Tensor], truths: Sequence[Tensor], weights: Sequence[float], counts: Tensor
) -> Tensor:
    """Σ λ_l mean |ψ_l(x) - ψ_l(x̂)|, each place by its share of (B, 1, s, s) ``counts``."""
    total = counts.new_zeros(())
    for answer, truth, weight in zip(answers, truths, weights, strict=True):
        here = functional.adaptive_avg_pool2d(counts, (answer.shape[2], answer.shape[3]))
        difference = ((answer.float() - truth.float()).abs() * here).sum()
        total = total + weight * difference / (here.sum() * answer.shape[1]).clamp_min(1e-6)
    return total
