"""Cryptomatte (Friedman and Jones 2015; specification 1.2.0): soft mattes by name, as ranked pairs of id and coverage in EXR.

An id is the MurmurHash3 (32 bits) of a name, its bits read as a float. Every pixel holds the ids of what it shows in the order of
their coverage, two ranks to a layer of four channels: ``<name>00.R`` id, ``.G`` coverage, ``.B`` id, ``.A`` coverage, then
``<name>01`` and so on. The header tells which name each id stands for, so that a compositor picks mattes by clicking.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from understudy.errors import InternalError, MediaError

_MASK = 0xFFFFFFFF


def murmur3(data: bytes, seed: int = 0) -> int:
    """MurmurHash3_x86_32 (Appleby; public domain)."""
    value = seed
    whole = len(data) - len(data) % 4
    for (block,) in struct.iter_unpack("<I", data[:whole]):
        value ^= _scrambled(block)
        value = (value << 13 | value >> 19) & _MASK
        value = (value * 5 + 0xE6546B64) & _MASK
    tail = data[whole:]
    if tail:
        value ^= _scrambled(int.from_bytes(tail, "little"))
    value ^= len(data)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        value = ((value ^ value >> shift) * factor) & _MASK
    return value ^ value >> 16


def _scrambled(block: int) -> int:
    block = block * 0xCC9E2D51 & _MASK
    block = (block << 15 | block >> 17) & _MASK
    return block * 0x1B873593 & _MASK


def id_of(name: str) -> int:
    """The id of a name, 32 bits: its hash, with an exponent that makes it neither 0, NaN, infinite nor denormal as a float."""
    value = murmur3(name.encode())
    if value >> 23 & 0xFF in (0, 255):
        value ^= 1 << 23
    return value


def as_float(number: int) -> np.float32:
    """The float32 with these 32 bits."""
    return np.uint32(number).view(np.float32)


def ranked(shares: np.ndarray, names: Sequence[str], *, ranks: int = 6) -> np.ndarray:
    """Ids and coverages, most covered first.

    Args:
        shares: (H, W, N) float coverage in [0, 1] of N names.
        names: N names.
        ranks: how many of them a pixel keeps.

    Returns:
        (H, W, 2 ranks) float32: id, coverage, id, coverage...; 0, 0 where fewer names cover the pixel.
    """
    if shares.shape[-1] != len(names):
        raise InternalError(f"{shares.shape[-1]} mattes and {len(names)} names.")
    kept = min(ranks, len(names))
    # Stable, so that equal coverages come in the names' order.
    order = np.argsort(-shares, axis=-1, kind="stable")[..., :kept]
    coverage = np.take_along_axis(shares, order, -1).astype(np.float32)
    ids = np.array([as_float(id_of(name)) for name in names], np.float32)[order]
    result = np.zeros((*shares.shape[:2], 2 * ranks), np.float32)
    covered = coverage > 0
    result[..., 0 : 2 * kept : 2] = np.where(covered, ids, 0)
    result[..., 1 : 2 * kept : 2] = np.where(covered, coverage, 0)
    return result


def header(layer: str, names: Sequence[str]) -> dict[str, str]:
    """The EXR attributes of a Cryptomatte called ``layer``."""
    key = f"cryptomatte/{id_of(layer):08x}"[: len("cryptomatte/") + 7]
    manifest = {name: f"{id_of(name):08x}" for name in names}
    return {
        f"{key}/name": layer,
        f"{key}/hash": "MurmurHash3_32",
        f"{key}/conversion": "uint32_to_float32",
        f"{key}/manifest": json.dumps(manifest, separators=(",", ":")),
    }


def channel_names(layer: str, ranks: int) -> list[str]:
    """The names of :func:`ranked`'s channels."""
    return [f"{layer}{pair:02d}.{letter}" for pair in range((ranks + 1) // 2) for letter in "RGBA"][: 2 * ranks]


def encode_layers(
    layers: Mapping[str, np.ndarray], *, whole: np.ndarray | None, names: Sequence[str], attributes: Mapping[str, str]
) -> bytes:
    """An EXR file with half-float layers and, beside them, full-float channels.

    Args:
        layers: (H, W) float by channel name, written as half.
        whole: (H, W, N) float32 of ``names``, written as float: ids must keep every bit; None for none.
        attributes: text for the header.

    Raises:
        MediaError: it cannot be written.
    """
    import OpenImageIO as oiio  # noqa: N813

    from understudy.media.formats.picture import memory_file

    planes = [np.asarray(layer, np.float32) for layer in layers.values()]
    if whole is not None:
        planes += [whole[..., place] for place in range(whole.shape[-1])]
    pixels = np.stack(planes, -1)
    height, width, count = pixels.shape
    spec: Any = oiio.ImageSpec(width, height, count, "float")
    spec.channelnames = (*layers, *(names if whole is not None else ()))
    spec.channelformats = tuple(
        [oiio.TypeDesc("half")] * len(layers) + [oiio.TypeDesc("float")] * (count - len(layers))
    )
    spec.attribute("compression", "zip")
    for key, text in attributes.items():
        spec.attribute(key, text)
    with memory_file(".openexr") as path:
        output = oiio.ImageOutput.create("openexr")
        good = output is not None and output.open(path, spec) and output.write_image(np.ascontiguousarray(pixels))
        if output is None or not output.close() or not good:
            reason = oiio.geterror() if output is None else output.geterror()
            raise MediaError(f"The layers cannot be written as EXR ({' '.join(reason.split())[:200]}).")
        return Path(path).read_bytes()
