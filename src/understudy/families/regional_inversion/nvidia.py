"""NVIDIA's StyleGAN2-ADA networks, from their pickle to the public port's names, without running what the pickle carries."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from understudy.errors import CheckpointError
from understudy.families.regional_inversion.inert_pickle import Made, Name, read_records, tensor_of
from understudy.families.regional_inversion.layers import blur_kernel

PERSISTENT = Name("torch_utils.persistence", "_reconstruct_persistent_obj")
DEEPEST = 12
"""Modules within modules; the published networks have four."""


def read_nvidia(path: Path | str) -> tuple[dict[str, Tensor], dict[str, Tensor] | None, Tensor]:
    """Averaged generator and discriminator (None where there is none) by the port's names, and the mean code.

    Raises:
        CheckpointError: not there, damaged, or no such pickle.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist; name NVIDIA's .pkl.")
    try:
        with path.open("rb") as stream:
            record = read_records(stream)
        held = pairs_of(record)
        if "G_ema" not in held:
            raise CheckpointError("it has no G_ema.")
        generator = module_tensors(held["G_ema"])
        discriminator = module_tensors(held["D"]) if isinstance(held.get("D"), Made) else None
        mean = generator.get("mapping.w_avg")
        if mean is None:
            raise CheckpointError("its generator has no mapping.w_avg.")
        return generator_names(generator), None if discriminator is None else discriminator_names(discriminator), mean
    except CheckpointError as error:
        raise CheckpointError(
            f"{path} is no StyleGAN2 network as NVIDIA publishes it for PyTorch: {error} Nothing in it was run."
        ) from error


def pairs_of(record: Any) -> Mapping[Any, Any]:
    """The entries of a dictionary, of whatever kind."""
    return record.pairs if isinstance(record, Made) else record if isinstance(record, dict) else {}


def module_tensors(record: Any, prefix: str = "", depth: int = 0) -> dict[str, Tensor]:
    """Parameters and buffers of a module and those within it, by their names.

    Raises:
        CheckpointError: no module, or one with something else where tensors should be.
    """
    if depth > DEEPEST:
        raise CheckpointError("its modules lie deeper than a network's do.")
    state: Mapping[Any, Any] = {}
    if isinstance(record, Made):
        if record.what == PERSISTENT and record.arguments:
            state = pairs_of(pairs_of(record.arguments[0]).get("state"))
        else:
            state = pairs_of(record.state)
    if "_parameters" not in state or "_modules" not in state:
        raise CheckpointError("where a network should be there is something else.")
    tensors = {}
    for kind in ("_parameters", "_buffers"):
        for name, value in pairs_of(state.get(kind)).items():
            if value is not None:
                tensors[f"{prefix}{name}"] = tensor_of(value)
    for name, module in pairs_of(state["_modules"]).items():
        if module is not None:
            tensors |= module_tensors(module, f"{prefix}{name}.", depth + 1)
    return tensors


def _side(block: str) -> int:
    """The side that ``b256`` is of."""
    side = int(block[1:]) if block[:1] == "b" and block[1:].isdigit() else 0
    if side < 4 or side & (side - 1):
        raise CheckpointError(f"its block {block} is of no side that is a power of two.")
    return side


def _check_filter(value: Tensor) -> None:
    if value.shape != (4, 4) or not torch.allclose(value, blur_kernel(), atol=1e-5):
        raise CheckpointError("it resamples by another filter than [1, 3, 3, 1].")


def generator_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The port's names and shapes for NVIDIA's generator; the port's own filters are put in.

    Raises:
        CheckpointError: a name that StyleGAN2's plain generator does not have (classes, another architecture).
    """
    made: dict[str, Tensor] = {}
    for name, value in tensors.items():
        part, *rest = name.split(".")
        if name == "mapping.w_avg":
            continue
        if rest and rest[-1] == "resample_filter":
            _check_filter(value)
        elif part == "mapping" and len(rest) == 2 and rest[0].startswith("fc") and rest[0][2:].isdigit():
            made[f"style.{int(rest[0][2:]) + 1}.{rest[1]}"] = value
        elif part == "synthesis" and rest[1:] == ["const"]:
            made["input.input"] = value[None]
        elif part == "synthesis" and len(rest) in (3, 4):
            made |= _layer(_side(rest[0]), rest[1], ".".join(rest[2:]), value)
        else:
            raise CheckpointError(f"its generator has {name}, which StyleGAN2's plain one does not.")
    for name in list(made):
        # Filters, which the port keeps with every layer that resamples.
        if name.startswith("convs.") and name.endswith(".conv.weight") and int(name.split(".")[1]) % 2 == 0:
            made[name.replace("weight", "blur.kernel")] = blur_kernel(4.0)
        if name.startswith("to_rgbs.") and name.endswith(".conv.weight"):
            made[name.replace("conv.weight", "upsample.kernel")] = blur_kernel(4.0)
    return made


def _layer(side: int, layer: str, name: str, value: Tensor) -> dict[str, Tensor]:
    level = side.bit_length() - 4  # 8² is the first that grows
    places = {"conv0": 2 * level, "conv1": 2 * level + 1}
    if layer == "torgb":
        target = "to_rgb1" if side == 4 else f"to_rgbs.{level}"
    elif layer in places:
        target = "conv1" if side == 4 else f"convs.{places[layer]}"
    else:
        raise CheckpointError(f"its generator has a layer {layer} at {side}², which StyleGAN2's plain one does not.")
    if name == "weight":
        return {f"{target}.conv.weight": value[None]}
    if name in ("affine.weight", "affine.bias"):
        return {f"{target}.conv.modulation.{name.removeprefix('affine.')}": value}
    if name == "bias":
        return {f"{target}.bias": value.view(1, -1, 1, 1)} if layer == "torgb" else {f"{target}.activate.bias": value}
    if name == "noise_strength":
        return {f"{target}.noise.weight": value.view(1)}
    if name == "noise_const":
        index = 0 if side == 4 else places[layer] + 1
        return {f"noises.noise_{index}": value[None, None]}
    raise CheckpointError(f"its generator has {layer}.{name} at {side}², which StyleGAN2's plain one does not.")


_BLOCK = {
    "conv0.weight": "conv1.0.weight",
    "conv0.bias": "conv1.1.bias",
    "conv1.weight": "conv2.1.weight",
    "conv1.bias": "conv2.2.bias",
    "skip.weight": "skip.1.weight",
}
_END = {
    "conv.weight": "final_conv.0.weight",
    "conv.bias": "final_conv.1.bias",
    "fc.weight": "final_linear.0.weight",
    "fc.bias": "final_linear.0.bias",
    "out.weight": "final_linear.1.weight",
    "out.bias": "final_linear.1.bias",
}


def discriminator_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The port's names for NVIDIA's discriminator.

    Raises:
        CheckpointError: a name that StyleGAN2's residual discriminator does not have.
    """
    largest = max((_side(name.split(".")[0]) for name in tensors), default=4)
    made: dict[str, Tensor] = {}
    for name, value in tensors.items():
        block, _, rest = name.partition(".")
        side = _side(block)
        place = largest.bit_length() - side.bit_length() + 1
        if rest.endswith("resample_filter"):
            _check_filter(value)
        elif side == largest and rest in ("fromrgb.weight", "fromrgb.bias"):
            made["convs.0.0.weight" if rest.endswith("weight") else "convs.0.1.bias"] = value
        elif side == 4 and rest in _END:
            made[_END[rest]] = value
        elif side > 4 and rest in _BLOCK:
            made[f"convs.{place}.{_BLOCK[rest]}"] = value
        else:
            raise CheckpointError(f"its discriminator has {name}, which StyleGAN2's residual one does not.")
    for place in range(1, largest.bit_length() - 2):
        for part in ("conv2", "skip"):
            made[f"convs.{place}.{part}.0.kernel"] = blur_kernel()
    return made
