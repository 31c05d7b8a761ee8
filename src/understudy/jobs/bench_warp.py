"""How fast residual warping is, how much memory it takes, and what share of the machine's memory bandwidth it uses."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from understudy.jobs.machine_limits import Limits, times

if TYPE_CHECKING:
    from understudy.composite.residual_warp import Method, ResidualPyramid

WARPS: tuple[tuple[int, Method], ...] = tuple(
    (size, method) for size in (1024, 4096) for method in ("multiscale", "vanilla")
)
_NETWORK = 128
_MEMORY = (
    "import sys; from understudy.jobs.bench_warp import peak_bytes; print(peak_bytes(int(sys.argv[1]), sys.argv[2]))"
)


@dataclass(frozen=True, kw_only=True)
class WarpRate:
    """Residual warping of an RGB still, float32, by a network of 128 x 128; the network itself is not in it."""

    size: int
    """Pixels a side."""
    method: str
    """``multiscale`` or ``vanilla``."""
    prepare_seconds: float
    """Taking the still apart, once."""
    seconds: float
    """One frame, the shortest of several."""
    median_seconds: float
    """One frame, the median."""
    moved_bytes: int
    """The least a frame has to read and write: still and residuals once, the result once."""
    share: float
    """Time to move these at the machine's memory bandwidth, over the time taken."""
    peak_bytes: int | None
    """Memory at its fullest beyond Python with its libraries, the still and the result included; None where the system
    does not tell (only Linux does)."""


def warp_rate(size: int, limits: Limits, *, method: Method = "multiscale", seconds: float = 3.0) -> WarpRate:
    """Warp a made-up still of ``size`` pixels a side again and again; memory is measured in a process of its own."""
    still, low_change, motion = _material(size)
    prepare = times(lambda: _take_apart(still, method), seconds=seconds / 3, least=2)
    pyramid = _take_apart(still, method)
    low, out = pyramid.low_still + low_change, np.empty_like(still)
    found = times(lambda: pyramid.apply(low, motion, out=out), seconds=seconds, least=3)
    moved = 2 * still.nbytes + pyramid.residual_bytes
    return WarpRate(
        size=size,
        method=method,
        prepare_seconds=min(prepare),
        seconds=min(found),
        median_seconds=float(np.median(found)),
        moved_bytes=moved,
        share=moved / (limits.bandwidth_gbs * 1e9) / min(found),
        peak_bytes=_measured_peak(size, method),
    )


def peak_bytes(size: int, method: Method) -> int:
    """Warp three frames in this process, and return how far its memory rose at most; -1 where that is not known."""
    _warp_frames(2 * _NETWORK, method)  # loads every library and starts every thread
    before = _high_water()
    _warp_frames(size, method)
    after = _high_water()
    return -1 if before is None or after is None else after - before


def _warp_frames(size: int, method: Method) -> None:
    still, low_change, motion = _material(size)
    pyramid = _take_apart(still, method)
    out = np.empty_like(still)
    for _ in range(3):
        pyramid.apply(pyramid.low_still + low_change, motion, out=out)


def _measured_peak(size: int, method: str) -> int | None:
    found = subprocess.run(
        [sys.executable, "-c", _MEMORY, str(size), method], capture_output=True, text=True, check=True
    )
    return int(found.stdout) if int(found.stdout) >= 0 else None


def _high_water() -> int | None:
    """The most memory this process has held, bytes. (``getrusage`` would start from what the parent process held.)"""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), None)


def _material(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A still, a change of the network's picture, and a motion as smooth and as wide as a smile's."""
    random = np.random.default_rng(0)
    still = random.random((size, size, 3), np.float32)
    change = 0.1 * random.standard_normal((_NETWORK, _NETWORK, 3)).astype(np.float32)
    x, y = np.meshgrid(*2 * [np.linspace(0, 2 * np.pi, _NETWORK, dtype=np.float32)])
    motion = 0.03 * np.stack([np.sin(x) * np.cos(2 * y), np.sin(2 * x + y)], axis=-1)
    return still, change, motion


def _take_apart(still: np.ndarray, method: Method) -> ResidualPyramid:
    from understudy.composite.residual_warp import ResidualPyramid

    return ResidualPyramid(still, _NETWORK, method)
