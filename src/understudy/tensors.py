"""Shape-typed names for arrays, and the choice of device and precision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from understudy.errors import OptionError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from jaxtyping import Float

    PicturesB3HW: TypeAlias = Float[torch.Tensor, "batch 3 height width"]
    """RGB in [0, 1], view colour space."""
    WeightsB1HW: TypeAlias = Float[torch.Tensor, "batch 1 height width"]
    """How much each pixel counts, >= 0."""
    LatentsBL11: TypeAlias = Float[torch.Tensor, "batch latent 1 1"]
    PicturesBHW3: TypeAlias = Float[np.ndarray, "batch height width 3"]
    """RGB in [0, 1], view colour space."""

Precision: TypeAlias = Literal["float32", "bf16"]


def choose_device(name: str = "auto") -> str:
    """``auto`` is the first CUDA device, then Apple's, then the processor; any other name is checked and returned.

    Raises:
        OptionError: the device is not there.
    """
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    kind = name.split(":")[0]
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(kind, False):
        found = ", ".join(device for device, present in there.items() if present)
        raise OptionError(f"--device {name}: this machine has {found}; choose one of these or auto.")
    return name


def fast_precision(device: str) -> Precision:
    """bf16 where the device computes in it, else float32."""
    import torch

    if device.startswith("cuda"):
        return "bf16" if torch.cuda.is_bf16_supported() else "float32"
    if device == "cpu":
        # Without these instructions bf16 is emulated and slower than float32.
        from torch.backends import cpu

        capability = cpu.get_cpu_capability()
        flags = _processor_flags()
        return "bf16" if "AVX512" in capability and ({"avx512_bf16", "amx_bf16"} & flags) else "float32"
    return "float32"


def _processor_flags() -> set[str]:
    from pathlib import Path

    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("flags"):
                return set(line.split())
    except OSError:
        pass
    return set()
