"""What the machine itself can do, measured: multiply matrices, move memory, start Python. Rates elsewhere are shares of these."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Measured limits of one device."""

    device: str
    name: str
    threads: int
    float32_gflops: float
    """Matrix multiplication, 10^9 operations a second; one multiply-add counts as two."""
    bf16_gflops: float
    bandwidth_gbs: float
    """Copying memory that no cache holds, 10^9 bytes a second, reading and writing both counted."""

    def matmul_gflops(self, precision: str) -> float:
        """The rate in ``bf16`` or ``float32``."""
        return self.bf16_gflops if precision == "bf16" else self.float32_gflops


def measure_limits(device: str, *, seconds: float = 1.5) -> Limits:
    """Measure for about ``seconds`` each; the best run counts, since a limit is what can be reached."""
    import torch

    from understudy.jobs.doctor import processor_name

    cuda = device.startswith("cuda")
    size = 8192 if cuda else 2048
    rates = {}
    for kind in (torch.float32, torch.bfloat16):
        a, b = torch.randn(size, size, device=device).to(kind), torch.randn(size, size, device=device).to(kind)
        rates[kind] = 2 * size**3 / best_time(lambda a=a, b=b: a @ b, device, seconds=seconds) / 1e9
        del a, b
    count = (1 << 30) if cuda else (1 << 26)
    source, goal = torch.ones(count, device=device), torch.empty(count, device=device)
    moved = 2 * 4 * count
    bandwidth = moved / best_time(lambda: goal.copy_(source), device, seconds=seconds) / 1e9
    return Limits(
        device=device,
        name=torch.cuda.get_device_name(device) if cuda else processor_name(),
        threads=torch.get_num_threads(),
        float32_gflops=rates[torch.float32],
        bf16_gflops=rates[torch.bfloat16],
        bandwidth_gbs=bandwidth,
    )


def best_time(work: Callable[[], object], device: str = "cpu", *, seconds: float = 1.0, least: int = 3) -> float:
    """The shortest of several runs of ``work``, seconds; one run before them does not count."""
    return min(times(work, device, seconds=seconds, least=least))


def times(work: Callable[[], object], device: str = "cpu", *, seconds: float = 1.0, least: int = 3) -> list[float]:
    """Times of repeated runs of ``work``, seconds each, for about ``seconds`` in all and at least ``least`` runs."""
    work()
    settle(device)
    found: list[float] = []
    began = time.perf_counter()
    while len(found) < least or (time.perf_counter() - began < seconds and len(found) < 1000):
        start = time.perf_counter()
        work()
        settle(device)
        found.append(time.perf_counter() - start)
    return found


def settle(device: str) -> None:
    """Wait until the device has done what it was told."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.synchronize()


def command_seconds(arguments: Sequence[str], *, runs: int = 15) -> float:
    """Median wall time of a command of this Python, seconds."""
    found = []
    for _ in range(runs):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        found.append(time.perf_counter() - began)
    return sorted(found)[len(found) // 2]
