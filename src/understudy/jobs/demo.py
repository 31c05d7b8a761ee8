"""The whole way on two packaged clips: gather, train, swap both ways, measure, inspect, report.

Both performers are rendered, so nobody had to be asked, and the exact answer of each swap is packaged too. Every stage goes on
where it was, so a demo that was stopped is continued by the same command.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.errors import OptionError
from understudy.provenance.atomic import write_bytes, write_json
from understudy.provenance.record import machine, plain

if TYPE_CHECKING:
    from understudy.jobs.project import Project

Progress = Callable[[str, int, int | None], None]

RUN = "demo"
PRESET = "preview"


@dataclass(frozen=True, kw_only=True)
class Take:
    """One packaged clip: who gives which performance, and who replaces them in the demo."""

    performer: str
    plate: str
    swapped_in: str
    truth: str
    """The swap's exact answer: the other performer really giving this performance."""


TAKES = (
    Take(performer="jun", plate="jun_r2.mp4", swapped_in="anton", truth="anton_as_jun_r2.mp4"),
    Take(performer="anton", plate="anton_r1.mp4", swapped_in="jun", truth="jun_as_anton_r1.mp4"),
)


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """Options of :func:`demo`."""

    folder: Path = field(default=Path("demo"), metadata={"help": "The demo's project folder; delete it to begin anew."})
    minutes: float = field(default=7.0, metadata={"help": "How long to train, in all."})
    every: int = field(default=1, metadata={"help": "Measure every Nth frame."})


@dataclass(frozen=True, kw_only=True)
class DemoReport:
    """What the demo made."""

    report: Path
    """The page to open."""
    data: Path
    """The same as JSON."""
    minutes: float
    """From first to last stage, waiting between stopped runs left out."""
    stages: dict[str, float]
    """Stage -> seconds."""
    movies: tuple[Path, ...]
    scores: dict[str, dict[str, dict[str, float]]]
    """Movie -> candidate -> measure -> mean."""
    finished: bool
    stopped_by: str
    """A signal's name where training was stopped by one; the report then waits for the next run."""


def demo(options: DemoOptions | None = None, progress: Progress = lambda stage, done, total: None) -> DemoReport:
    """Run the demo, or what is left of it, and write its report.

    Raises:
        OptionError: no minutes, or the packaged clips are not in this installation.
        WeightsError: the face models are not at hand.
        StorageError: full disk or no permission; what is done stays.
    """
    from understudy.jobs.demo_report import write_report

    options = options or DemoOptions()
    if options.minutes <= 0:
        raise OptionError(f"--minutes {options.minutes:g}: training needs a positive number of minutes.")
    folder = options.folder.expanduser().resolve()
    clock = _Clock(folder / "times.json")
    with clock.stage("prepare"):
        project = _prepare(folder)
    facts: dict[str, Any] = {"machine": machine(), "preset": PRESET, "training_minutes": options.minutes}
    with clock.stage("gather"):
        facts["gather"] = {take.performer: _gather(project, take, progress) for take in TAKES}
    with clock.stage("train"):
        trained = _train(project, options.minutes, progress)
        facts["train"] = plain(trained)
    if trained.stopped_by.startswith("SIG"):
        return _unfinished(folder, clock, trained.stopped_by)
    facts["swaps"] = []
    for take in TAKES:
        with clock.stage("swap"):
            swapped = _swap(project, take, progress)
        facts["swaps"].append({**plain(take), "report": plain(swapped), "output": str(_render(project, take))})
    for swap, take in zip(facts["swaps"], TAKES, strict=True):
        with clock.stage("measure"):
            swap["measure"] = _measure(project, take, options.every, progress)
    with clock.stage("inspect"):
        facts["inspect"] = _inspect(project, progress)
    with clock.stage("report"):
        facts["stages"] = dict(clock.seconds)
        page = write_report(project, facts, progress)
    facts["stages"] = dict(clock.seconds)
    facts["minutes"] = sum(clock.seconds.values()) / 60
    write_json(folder / "report.json", facts)
    return DemoReport(
        report=page,
        data=folder / "report.json",
        minutes=facts["minutes"],
        stages=facts["stages"],
        movies=tuple(_render(project, take) for take in TAKES),
        scores={Path(swap["output"]).name: swap["measure"]["scores"] for swap in facts["swaps"]},
        finished=True,
        stopped_by="",
    )


class _Clock:
    """Seconds of every stage over all runs of one demo, kept on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.seconds: dict[str, float] = json.loads(path.read_text())
        except (OSError, ValueError):
            self.seconds = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began
            write_json(self.path, self.seconds)


def _prepare(folder: Path) -> Project:
    """The project with its cast and the packaged clips in footage/."""
    from understudy.jobs.project import CAST_FILE, Project, new_project
    from understudy.provenance.cast import Consent

    if (folder / CAST_FILE).exists():
        project = Project(folder)
    else:
        invented = Consent(granted_by="nobody: a rendered performer", synthetic=True)
        project = new_project(folder, identities={take.performer: invented for take in TAKES})
    media = resources.files("understudy.jobs") / "demo_media"
    for take in TAKES:
        for name, place in ((take.plate, project.footage), (take.truth, project.footage / "truth")):
            if (place / name).exists():
                continue
            packaged = media / name
            if not packaged.is_file():
                raise OptionError(f"This installation lacks the demo's clip {name}; install Understudy anew.")
            write_bytes(place / name, packaged.read_bytes())
    return project


def _gather(project: Project, take: Take, progress: Progress) -> Any:
    from understudy.jobs.gather import gather
    from understudy.jobs.options_gather import GatherOptions

    source = str(project.footage / take.plate)
    report = gather(
        GatherOptions(source=source, identity=take.performer, project=project.root), _named(progress, take.performer)
    )
    return plain(report)


def _train(project: Project, minutes: float, progress: Progress) -> Any:
    from understudy.jobs.train import TrainOptions, train

    everyone = tuple(sorted(take.performer for take in TAKES))
    return train(
        TrainOptions(project=project.root, preset=PRESET, run=RUN, identities=everyone, minutes=minutes), progress
    )


def _swap(project: Project, take: Take, progress: Progress) -> Any:
    from understudy.jobs.shot import SwapOptions, swap_shot

    options = SwapOptions(
        plate=str(project.footage / take.plate),
        identity=take.swapped_in,
        output=_render(project, take),
        run=RUN,
        project=project.root,
    )
    return swap_shot(options, _named(progress, _title(take)))


def _measure(project: Project, take: Take, every: int, progress: Progress) -> dict[str, Any]:
    """The measures of one swap; taken anew only where the movie or the way of measuring has changed."""
    from understudy.jobs.measure import MeasureOptions, measure
    from understudy.provenance.record import path_sha256

    options = MeasureOptions(
        swap=_render(project, take),
        plate=project.footage / take.plate,
        truth=project.footage / "truth" / take.truth,
        identity=take.swapped_in,
        project=project.root,
        run=RUN,
        keep=project.renders / "neighbours",
        every=every,
    )
    kept = project.root / "report" / f"{_title(take)}.measure.json"
    asked = {"movie": path_sha256(options.swap), "options": plain(options)}
    with suppress(OSError, ValueError):
        before = json.loads(kept.read_text())
        if before["asked"] == asked:
            return before["measure"]
    (project.renders / "neighbours" / options.swap.name).unlink(missing_ok=True)
    found = plain(measure(options, _named(progress, _title(take))))
    write_json(kept, {"asked": asked, "measure": found})
    return found


def _inspect(project: Project, progress: Progress) -> dict[str, Any]:
    from understudy.jobs.inspect import (
        InterpolateOptions,
        LatentsOptions,
        NeighboursOptions,
        interpolate,
        latents,
        neighbours,
    )

    folder = project.root / "report"
    common = {"project": project.root, "run": RUN}
    found: dict[str, Any] = {
        "interpolate": plain(interpolate(InterpolateOptions(**common, output=folder / "interpolate.jpg"), progress)),
        "latents": plain(latents(LatentsOptions(**common, output=folder / "latents.jpg"), progress)),
        "neighbours": [],
    }
    for take in TAKES:
        options = NeighboursOptions(
            **common,
            plate=project.footage / take.plate,
            identity=take.swapped_in,
            output=folder / f"neighbours-{take.swapped_in}.jpg",
        )
        found["neighbours"].append(plain(neighbours(options, progress)))
    return found


def _render(project: Project, take: Take) -> Path:
    return project.renders / f"{_title(take)}.mp4"


def _title(take: Take) -> str:
    return f"{take.swapped_in}_as_{Path(take.plate).stem}"


def _named(progress: Progress, name: str) -> Progress:
    """Progress whose stages carry a name, so that the two clips have bars of their own."""
    return lambda stage, done, total: progress(f"{stage} {name}", done, total)


def _unfinished(folder: Path, clock: _Clock, stopped_by: str) -> DemoReport:
    seconds = dict(clock.seconds)
    return DemoReport(
        report=folder / "report.html",
        data=folder / "report.json",
        minutes=sum(seconds.values()) / 60,
        stages=seconds,
        movies=(),
        scores={},
        finished=False,
        stopped_by=stopped_by,
    )
