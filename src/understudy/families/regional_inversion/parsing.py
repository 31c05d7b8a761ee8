"""The face parser at work: crops in, the twelve regions' shares out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from understudy.checkpoint import load_checkpoint
from understudy.errors import CheckpointError, OptionError
from understudy.faces.parse import GUIDE
from understudy.faces.regions import FROM_BISENET, Region
from understudy.families.regional_inversion.parsing_network import BiSeNet, ParserSettings, standardised
from understudy.tensors import choose_device

FAMILY_NAME, STAGE = "regional_inversion", "parsing"
PACKAGED = Path(__file__).with_name("parsing_256.safetensors")
_CHUNK = 4


def settings_of(network: Mapping[str, Any]) -> ParserSettings:
    """Settings from a recipe or a card, where lists stand for tuples."""
    known = {field.name for field in fields(ParserSettings)}
    values = {name: value for name, value in network.items() if name in known}
    if "widths" in values:
        values["widths"] = tuple(values["widths"])
    return ParserSettings(**values)


def load_parser(checkpoint: Path | str) -> BiSeNet:
    """A parser of our own training.

    Raises:
        CheckpointError: not a parser's weights.
    """
    tensors, card = load_checkpoint(checkpoint, family=FAMILY_NAME)
    if card.network.get("stage") != STAGE:
        raise CheckpointError(f"{checkpoint} holds weights of {FAMILY_NAME}, but not of its parser; name a parser's.")
    network = BiSeNet(settings_of(card.network))
    try:
        network.load_state_dict(
            {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
        )
    except RuntimeError as error:
        raise CheckpointError(f"{checkpoint} does not fit the parser that its card describes: {error}") from error
    return network


class RegionParser:
    """A parser, ready to read crops.

    Args:
        network: from :func:`load_parser` or ``parsing_official.load_public``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Attributes:
        size: side of the crops that it reads best, pixels.
        oval_share: height of the face in them, as share of the side.
        source: the file of its weights, or None.
        guided: it wants the mesh's masks (``faces.parse.region_guide``) beside the picture.
    """

    def __init__(self, network: BiSeNet, *, device: str = "auto", source: Path | None = None) -> None:
        self.source = source
        self.device = choose_device(device)
        settings = network.settings
        if settings.classes not in (len(Region), len(FROM_BISENET)):
            raise OptionError(
                f"this parser tells {settings.classes} classes apart; {len(Region)} regions or {len(FROM_BISENET)} are known."
            )
        self.network = network.eval().requires_grad_(False).float()
        self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.size, self.oval_share = settings.size, settings.oval_share
        self.guided = settings.guide > 0
        if settings.guide not in (0, len(GUIDE)):
            raise OptionError(f"this parser wants {settings.guide} masks of the mesh; there are {len(GUIDE)}.")
        table = np.arange(len(Region)) if settings.classes == len(Region) else FROM_BISENET
        joins = torch.zeros(len(Region), settings.classes)
        joins[torch.from_numpy(table.astype(np.int64)), torch.arange(settings.classes)] = 1
        self._joins = joins.to(self.device)

    @torch.inference_mode()
    def parse(self, crops: np.ndarray, guides: np.ndarray | None = None) -> np.ndarray:
        """The share that every region has of every pixel.

        Args:
            crops: (B, s, s, 3) float32 RGB in [0, 1], view colour space; s a multiple of 32, best ``size``.
            guides: (B, 6, s, s) uint8 from ``region_guide``; None shows the parser no mesh.

        Returns:
            (B, s, s, 12) float32, sums of 1, in the order of ``Region``.

        Raises:
            OptionError: crops of another shape.
        """
        crops = np.asarray(crops, np.float32)
        if crops.ndim != 4 or crops.shape[1] != crops.shape[2] or crops.shape[3] != 3 or crops.shape[1] % 32:
            raise OptionError(f"crops to parse are (B, s, s, 3) with s a multiple of 32, and these are {crops.shape}.")
        shares = []
        for first in range(0, len(crops), _CHUNK):
            part = torch.from_numpy(crops[first : first + _CHUNK]).permute(0, 3, 1, 2).to(self.device)
            read = standardised(part.clamp(0, 1))
            if self.guided:
                size = (len(part), len(GUIDE), *part.shape[2:])
                masks = (
                    torch.zeros(size)
                    if guides is None
                    else torch.from_numpy(guides[first : first + _CHUNK]).float() / 255
                )
                read = torch.cat([read, masks.to(read)], 1)
            given = self.network(read.contiguous(memory_format=torch.channels_last)).softmax(1)
            shares.append(torch.einsum("rk,bkhw->bhwr", self._joins, given).cpu().numpy())
        return np.concatenate(shares) if shares else np.empty((0, *crops.shape[1:3], len(Region)), np.float32)


def region_parser(checkpoint: Path | str | None = None, *, device: str = "auto") -> RegionParser:
    """The packaged parser, or one from a checkpoint: ours, or the public 19-class one (a ``.pth``).

    Raises:
        CheckpointError: not a parser's weights, or none are packaged.
    """
    if checkpoint is None:
        if not PACKAGED.is_file():
            raise CheckpointError(f"{PACKAGED} is missing from this installation; install the package anew.")
        checkpoint = PACKAGED
    if Path(checkpoint).suffix in (".pth", ".pt"):
        from understudy.families.regional_inversion.parsing_official import load_public

        return RegionParser(load_public(checkpoint), device=device, source=Path(checkpoint))
    return RegionParser(load_parser(checkpoint), device=device, source=Path(checkpoint))
