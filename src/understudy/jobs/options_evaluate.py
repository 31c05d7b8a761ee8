"""What evaluating takes. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from understudy.errors import OptionError
from understudy.jobs.evaluate_limits import read_limits
from understudy.jobs.evaluate_measures import MODEL, SHOT
from understudy.jobs.measure import MeasureOptions


@dataclass(frozen=True, kw_only=True)
class EvaluateSwapOptions(MeasureOptions):
    """What :func:`understudy.jobs.evaluate_swap.evaluate_swap` takes; without truth it measures what needs none.

    Raises:
        OptionError: a limit that cannot be understood, or a number out of its range.
    """

    mattes: Path | None = None
    """The mattes that the swap wrote (swap --mattes): a pattern such as mattes/shot.####.png. Default: drawn again from the
    plate's face."""
    rank: str | None = None
    """By which measure frames are the worst and the best. Default: lpips, ssim or identity, the first that there is."""
    fail_below: tuple[str, ...] = ()
    """Fail if a measure's mean is less, such as identity=0.6; repeat it for several. The exit code is then 1."""
    fail_above: tuple[str, ...] = ()
    """Fail if a measure's mean is more, such as flicker=1.2; repeat it for several."""
    output: Path | None = None
    """Folder for report.html, report.json and the contact sheet. Default: evaluate/SWAP in the project."""

    def __post_init__(self) -> None:
        super().__post_init__()
        read_limits(self.fail_below, self.fail_above, SHOT)
        if self.rank is not None and (self.rank not in SHOT or not SHOT[self.rank].by_frame):
            known = ", ".join(name for name, measure in SHOT.items() if measure.by_frame)
            raise OptionError(f"--rank {self.rank}: frames can be ranked by {known}.")


@dataclass(frozen=True, kw_only=True)
class EvaluateModelOptions:
    """What :func:`understudy.jobs.evaluate_model.evaluate_model` takes.

    Raises:
        OptionError: a limit that cannot be understood, or a number out of its range.
    """

    run: str = field(metadata={"help": "The model: a run's name, its folder or a checkpoint."})
    project: Path | None = field(default=None, metadata={"help": "Project folder; default: the one around you."})
    data: Path | None = field(
        default=None,
        metadata={
            "help": "Labelled crops (units.csv) for a model that animates, whose lines of part test are measured; pictures with "
            "region maps (docs/regions.md) for one that goes by regions, or a face parser."
        },
    )
    pictures: int = field(
        default=60, metadata={"help": "How many pictures, spread evenly: of every identity, or of --data."}
    )
    pairs: int = field(default=0, metadata={"help": "By regions: also swap so many random pairs of people of --data."})
    optimise: int = field(
        default=0, metadata={"help": "By regions: also fit the textures to each picture, in so many steps; slow."}
    )
    parser: str | None = field(
        default=None, metadata={"help": "By regions: the face parser, as for `understudy regions`."}
    )
    fail_below: tuple[str, ...] = ()
    """Fail if a measure is less, such as identity=0.6; repeat it for several. The exit code is then 1."""
    fail_above: tuple[str, ...] = ()
    """Fail if a measure is more, such as pose=5; repeat it for several."""
    output: Path | None = field(
        default=None,
        metadata={"help": "Folder for report.html, report.json and the sheet. Default: evaluate/ in the run."},
    )
    device: str = field(default="auto", metadata={"help": "auto, cpu, cuda or mps."})

    def __post_init__(self) -> None:
        read_limits(self.fail_below, self.fail_above, MODEL)
        if self.pictures < 2:
            raise OptionError(f"--pictures {self.pictures}: must be 2 or more.")
