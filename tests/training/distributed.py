"""Run by torchrun from ``test_distributed.py``: trains a tiny comb on two processes and writes what each ends with."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

from test_loop import Colours, make_loop

from understudy.dataset.augment import AugmentSettings
from understudy.dataset.batches import IdentityBatches
from understudy.family import Stage

if __name__ == "__main__":
    out, rank = Path(sys.argv[1]), int(os.environ["RANK"])
    torch.set_num_threads(1)
    stages = (Stage(resolution=4, pictures=64, batch=2), Stage(resolution=8, pictures=64, batch=2, fade=1.0))
    loop = make_loop(out / "run", stages=stages, devices=2)
    loop.batches = IdentityBatches({"a": Colours(1), "b": Colours(2)}, augment=AugmentSettings(), seed=0, rank=rank)
    report = loop.train()
    state = {name: tensor.detach() for name, tensor in loop.trainable.network.state_dict().items()}
    torch.save({"state": state, "pictures": report.pictures, "finished": report.finished}, out / f"{rank}.pt")
