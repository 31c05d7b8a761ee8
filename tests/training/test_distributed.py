"""Two processes train one model."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch


def test_two_processes_end_with_the_same_weights(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29511"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    script = Path(__file__).with_name("distributed.py")
    done = subprocess.run(
        [*command, str(script), str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert one["finished"] and two["finished"] and one["pictures"] == two["pictures"] == 128
    for name, tensor in one["state"].items():
        assert torch.equal(tensor, two["state"][name]), name
    assert (tmp_path / "run" / "state.safetensors").exists()
