"""What a training leaves to look at: curves, picture grids, TensorBoard."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from understudy.errors import storage_guard
from understudy.provenance.atomic import replacing

KEPT_PREVIEWS = 40


class RunReport:
    """Writes into a run's folder: ``curves.jsonl``, ``previews/*.jpg``, ``tensorboard/``."""

    def __init__(self, run: Path, *, every: float = 2.0) -> None:
        from torch.utils.tensorboard import SummaryWriter

        with storage_guard(run):
            (run / "previews").mkdir(parents=True, exist_ok=True)
            self.board = SummaryWriter(run / "tensorboard")
        self.run, self.every, self.last = run, every, 0.0

    def add(self, pictures: int, figures: Mapping[str, float]) -> None:
        """Keep a line of figures, at most one every ``every`` seconds."""
        now = time.monotonic()
        if now - self.last < self.every:
            return
        self.last = now
        with storage_guard(self.run / "curves.jsonl"), (self.run / "curves.jsonl").open("a") as file:
            file.write(json.dumps({"pictures": pictures, "time": time.time(), **figures}) + "\n")
        for name, value in figures.items():
            self.board.add_scalar(name, value, pictures)

    def picture(self, pictures: int, grid: np.ndarray) -> None:
        """Keep a (H, W, 3) uint8 RGB grid; the newest is also ``previews/latest.jpg``."""
        import cv2

        for name in (f"{pictures:09d}.jpg", "latest.jpg"):
            with replacing(self.run / "previews" / name) as temporary:
                cv2.imwrite(str(temporary), grid[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
        kept = sorted((self.run / "previews").glob("[0-9]*.jpg"))
        # Long trainings keep a picture of every stretch, not all of them: every second one of the older half goes.
        if len(kept) > KEPT_PREVIEWS:
            for path in kept[1 : KEPT_PREVIEWS // 2 : 2]:
                path.unlink(missing_ok=True)
        self.board.add_image("preview", grid, pictures, dataformats="HWC")

    def close(self) -> None:
        self.board.close()
