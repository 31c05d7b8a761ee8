"""What benchmarking the families takes. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from understudy.errors import OptionError

PACKAGED = "synthetic"


@dataclass(frozen=True, kw_only=True)
class BenchmarkOptions:
    """What :func:`understudy.jobs.benchmark.benchmark` takes.

    Raises:
        OptionError: a value out of its range.
    """

    suite: str = PACKAGED
    """The suite: synthetic, which comes with the package, or a folder with a suite.toml or with rendered clips named like
    anton_r1.mp4 and anton_as_jun_r2.mp4."""
    family: tuple[str, ...] = ()
    """Whom to measure, NAME or NAME:PRESET, such as comb:preview-scratch; repeat it. Default: all families."""
    run: tuple[str, ...] = ()
    """A family's weights, NAME=CHECKPOINT, instead of training it or taking the packaged ones; repeat it."""
    output: Path = Path("benchmark")
    """The folder: a project of its own with faces, runs, movies, rows and the report."""
    minutes: float = 7.0
    """How long each family that learns a cast is trained, and the autoencoder too."""
    task: tuple[str, ...] = ()
    """Only tasks of this kind or name: swap, animate, regions, rebuild, edit, units, or a name of the suite; repeat it."""
    baselines: bool = True
    """Measure what every family has to beat: the plate or still unchanged, the nearest training picture, an autoencoder."""
    autoencoder: Literal["auto", "light", "published"] = "auto"
    """Its width: published, or half of it, which auto takes on a processor."""
    every: int = 1
    """Measure every Nth frame; flicker wants 1."""
    size: int = 128
    """Side of the canonical crop that is measured, pixels."""
    device: str = "auto"
    """Where models train and run: auto, cpu, cuda or mps."""
    seed: int = 0
    """Of all random numbers in training."""

    def __post_init__(self) -> None:
        if self.minutes <= 0:
            raise OptionError(f"--minutes {self.minutes:g}: training needs a positive number of minutes.")
        if self.every < 1 or self.size < 32:
            raise OptionError("--every must be 1 or more, and --size 32 or more.")
        for given in self.run:
            if not all(given.partition("=")):
                raise OptionError(f"--run {given}: give a family and its weights, such as comb=runs/comb-preview.")
