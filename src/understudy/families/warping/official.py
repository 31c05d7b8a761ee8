"""Weights that the authors published: ``EPOCH_net_gen.pth`` and, beside it, ``EPOCH_net_dis.pth`` and ``EPOCH_net_dis_warp.pth``.

The files hold plain dictionaries of tensors, which are read without running anything. Their names are those of
``network.py``'s modules, perhaps behind ``module.``. Width, number of signals and halvings are read off the shapes; which data
set the weights are of, and with it the coefficient of the motion, is told by the number of signals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from torch import Tensor

from understudy.blocks.foreign import filled, read_tensors
from understudy.checkpoint import ModelCard, save_checkpoint
from understudy.errors import CheckpointError
from understudy.families.warping.network import Critic, Generator, WarpingSettings
from understudy.families.warping.recipes import PUBLISHED

WANTED = "the authors' EPOCH_net_gen.pth"
LICENCE = "MIT (the published code's); the data it was trained on is for research"


def settings_from(tensors: Mapping[str, Tensor], path: Path | str) -> WarpingSettings:
    """The settings of a published generator, from its shapes.

    Raises:
        CheckpointError: no generator of this family, or with a number of signals that was not published.
    """
    first = tensors.get("encoding.0.weight")
    if first is None or first.ndim != 4 or first.shape[1] <= 3:
        raise CheckpointError(
            f"{path} has no layer encoding.0 that takes a picture and a signal, so it is no generator of this family; "
            f"name the authors' EPOCH_net_gen.pth."
        )
    width, signals = first.shape[0], first.shape[1] - 3
    for published in PUBLISHED.values():
        if signals == (len(published.expressions) or WarpingSettings().signals):
            return WarpingSettings(
                width=width,
                coefficient=published.coefficient,
                expressions=published.expressions,
                unit_scale=0.5,
            )
    raise CheckpointError(
        f"{path} is driven by {signals} signals; published are 2 (CelebA's smile), 8 (RaFD), 17 (action units) and 26 "
        f"(EmotionNet). Maps of labels or edges are not supported."
    )


def load_official(path: Path | str) -> Generator:
    """The published generator in ``path``, every weight in its place.

    Raises:
        CheckpointError: see ``blocks.foreign.read_tensors`` and :func:`settings_from`; or a layer does not fit.
    """
    tensors = read_tensors(path, wanted=WANTED)
    return filled(Generator(settings_from(tensors, path)), tensors, path)


def load_official_critic(path: Path | str, settings: WarpingSettings) -> Critic:
    """A published critic: D_r (``_net_dis``) where the file has ``dis_top``, else D_w (``_net_dis_warp``).

    Raises:
        CheckpointError: as :func:`load_official`.
    """
    tensors = read_tensors(path, wanted=WANTED)
    return filled(Critic(settings, realism="dis_top.weight" in tensors), tensors, path)


def convert_official(path: Path | str, to: Path | str) -> ModelCard:
    """Write the published generator in ``path`` as a checkpoint of this house, and return its card.

    Raises:
        CheckpointError: as :func:`load_official`. StorageError: ``to`` cannot be written.
    """
    generator = load_official(path)
    settings = generator.settings
    card = ModelCard(
        family="warping",
        preset="code",
        network={"settings": asdict(settings), "resolution": settings.size},
        data=f"The authors' published weights, {Path(path).name}: {settings.signals} signals, width {settings.width}.",
        licence=LICENCE,
    )
    save_checkpoint(to, generator.state_dict(), card)
    return card
