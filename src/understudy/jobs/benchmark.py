"""Every family on a suite with exact answers, beside what each has to beat: one table, with times.

The benchmark's folder is a project of its own. A finished row is kept and made anew only where something it depends on has changed,
so a stopped benchmark is gone on with by the same command, and a family that lands later adds its rows to those that are there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from understudy import families
from understudy.dataset.suite import AnimateTask, RegionTask, Suite, SwapTask, UnitTask, open_suite, write_suite
from understudy.errors import OptionError
from understudy.family import Task
from understudy.jobs.benchmark_faults import with_faults
from understudy.jobs.benchmark_rows import (
    AUTOENCODER,
    KINDS,
    NEAREST,
    TRUTH,
    UNCHANGED,
    Row,
    RowStore,
    TableLine,
    table,
)
from understudy.jobs.benchmark_swap import Contender, Interrupted, SwapBench
from understudy.jobs.options_benchmark import PACKAGED, BenchmarkOptions
from understudy.jobs.project import CAST_FILE, Project, new_project
from understudy.provenance.atomic import write_json
from understudy.provenance.record import machine, plain

if TYPE_CHECKING:
    from understudy.jobs.performance import UnitReader
    from understudy.jobs.track import FaceFinder

__all__ = ["BenchmarkOptions", "BenchmarkReport", "benchmark"]

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class BenchmarkReport:
    """What the benchmark found."""

    page: Path
    """The page to open."""
    data: Path
    """The same as JSON."""
    suite: str
    tables: Mapping[str, tuple[TableLine, ...]]
    """swap and animate -> a line for each contender: means over the tasks."""
    rows: tuple[Row, ...]
    """Every contender at every task."""
    minutes: float
    """Training time given to each who learns."""
    processors: int
    stopped_by: str = ""
    """A signal's name where training was stopped by one; the rest waits for the same command."""


def benchmark(
    options: BenchmarkOptions | None = None,
    progress: Progress = lambda stage, done, total: None,
    *,
    finder: FaceFinder | None = None,
    reader: UnitReader | None = None,
) -> BenchmarkReport:
    """Measure families and baselines on a suite; see :class:`BenchmarkReport`.

    Args:
        options: what and how.
        progress: called with (stage, done, total).
        finder: what finds faces; None for MediaPipe's models on this machine.
        reader: what reads action units off faces; None for the packaged model.

    Raises:
        OptionError: no such family or task.
        DatasetError: no such suite, or something is wrong with it.
        ConsentError: somebody of the suite may not be trained on or rendered.
        WeightsError: the face models are not at hand.
        StorageError: full disk or no permission; finished rows stay.
    """
    from understudy.jobs.benchmark_animate import AnimateBench
    from understudy.jobs.benchmark_page import write_page
    from understudy.jobs.benchmark_regions import RegionBench
    from understudy.jobs.benchmark_units import READER, REST, UnitBench

    options = options or BenchmarkOptions()
    suite = open_suite(_packaged() if options.suite == PACKAGED else options.suite)
    suite = _chosen(suite, options)
    asked = {"regions", "rebuild", "edit"} & set(options.task) or set(KINDS)
    swappers, animators = contenders(options)
    editors = region_contenders(options) if suite.regions else {}
    project = _project(suite, options.output.expanduser().resolve())
    store = RowStore(project.root / "rows")
    rows: list[Row] = []
    stopped_by = ""
    swaps = SwapBench(options, suite, project, store, progress, finder)
    animations = AnimateBench(options, suite, project, store, progress, finder, reader)
    try:
        for contender in swappers if suite.swaps else ():
            rows += swaps.rows(contender, suite.swaps)
        for contender in animators if suite.animations else ():
            rows += animations.rows(contender, suite.animations)
        regions = RegionBench(options, suite, project, store, progress, finder)
        for kind, who in editors.items():
            for contender in who if kind in asked else ():
                rows += regions.rows(kind, contender, suite.regions)
        readers = UnitBench(project, store, progress, finder, reader)
        for name in (REST, READER) if options.baselines else (READER,):
            rows += readers.rows(Contender(name=name), suite.units)
    except Interrupted as stop:
        stopped_by = str(stop)
    tables = {kind: with_faults(lines, kind) for kind in KINDS if (lines := table(rows, kind))}
    page = write_page(project, suite, rows, tables, options, finder)
    report = BenchmarkReport(
        page=page,
        data=project.root / "benchmark.json",
        suite=suite.title,
        tables=tables,
        rows=tuple(rows),
        minutes=options.minutes,
        processors=_processors(),
        stopped_by=stopped_by,
    )
    write_json(report.data, {"options": plain(options), "machine": machine(), **plain(report)})
    return report


def contenders(options: BenchmarkOptions) -> tuple[tuple[Contender, ...], tuple[Contender, ...]]:
    """Who swaps and who animates, baselines first.

    Raises:
        OptionError: a family that does not exist, or weights for one that is not measured.
    """
    wishes = options.family or families.names()
    weights = {name: Path(path) for name, _, path in (given.partition("=") for given in options.run)}
    swappers, animators = [], []
    for wish in wishes:
        name, _, preset = wish.partition(":")
        family = families.get(name)
        if preset and preset not in family.presets:
            raise OptionError(f"--family {wish}: {name} has the presets {', '.join(family.presets)}.")
        checkpoint = weights.pop(wish, None) or weights.pop(name, None)
        if checkpoint is not None and checkpoint.is_dir():
            checkpoint = checkpoint / "model.safetensors"
        contender = Contender(name=wish, family=name, preset=preset or None, checkpoint=checkpoint)
        # Families that learn from labelled pictures of many people are no matter of minutes: they swap with given weights alone.
        # Those that edit by region swap without learning anybody.
        learns = Task.SWAP in family.tasks and (not family.labelled or checkpoint is not None)
        if learns or (Task.EDIT in family.tasks and Task.SWAP not in family.tasks):
            swappers.append(contender)
        if Task.ANIMATE in family.tasks:
            animators.append(contender)
    if weights:
        raise OptionError(
            f"--run {next(iter(weights))}: this family is not among those measured ({', '.join(wishes)})."
        )
    if options.baselines:
        first = next((one for one in swappers if Task.SWAP in families.get(one.family).tasks), None)
        before = [Contender(name=UNCHANGED)]
        after = [Contender(name=AUTOENCODER)]
        if first is not None:
            after.insert(0, replace(first, name=NEAREST, family=first.name))
        swappers = [*before, *after, *swappers] if swappers else [*before, *after]
        animators = [Contender(name=UNCHANGED), *animators]
    truth = Contender(name=TRUTH)
    return (*swappers, truth), (*animators, truth)


def region_contenders(options: BenchmarkOptions) -> dict[str, tuple[Contender, ...]]:
    """Who tells regions apart, gives faces back and edits them: kind -> contenders, baselines first."""
    from understudy.jobs.benchmark_regions import FLAT, OUTLINES

    weights = {name: Path(path) for name, _, path in (given.partition("=") for given in options.run)}
    parsers, editors = [], []
    for name in dict.fromkeys(wish.partition(":")[0] for wish in options.family or families.names()):
        family = families.get(name)
        checkpoint = weights.get(name)
        if checkpoint is not None and checkpoint.is_dir():
            checkpoint = checkpoint / "model.safetensors"
        if family.parser is not None:
            parsers.append(Contender(name=name, family=name))
        if Task.EDIT in family.tasks:
            editors.append(Contender(name=name, family=name, checkpoint=checkpoint))
    found: dict[str, tuple[Contender, ...]] = {
        "regions": tuple(parsers),
        "rebuild": tuple(editors),
        "edit": tuple(editors),
    }
    if options.baselines:
        before = {"regions": (OUTLINES,), "rebuild": (FLAT,), "edit": (UNCHANGED, FLAT)}
        found = {kind: (*(Contender(name=name) for name in before[kind]), *who) for kind, who in found.items() if who}
    return found


def _packaged() -> Path:
    return Path(str(resources.files("understudy.jobs") / "demo_media"))


def _chosen(suite: Suite, options: BenchmarkOptions) -> Suite:
    """The suite with the tasks that were asked for."""
    if not options.task:
        return suite
    known = {*KINDS, *(task.name for task in (*suite.swaps, *suite.animations, *suite.regions, *suite.units))}
    if unknown := [name for name in options.task if name not in known]:
        raise OptionError(f"--task {unknown[0]}: this suite has {', '.join(sorted(known))}.")

    def wanted(task: SwapTask | AnimateTask | RegionTask | UnitTask, *kinds: str) -> bool:
        return any(kind in options.task for kind in kinds) or task.name in options.task

    return replace(
        suite,
        swaps=tuple(task for task in suite.swaps if wanted(task, "swap")),
        animations=tuple(task for task in suite.animations if wanted(task, "animate")),
        regions=tuple(task for task in suite.regions if wanted(task, "regions", "rebuild", "edit")),
        units=tuple(task for task in suite.units if wanted(task, "units")),
    )


def _project(suite: Suite, folder: Path) -> Project:
    """The benchmark's project, with the suite's people as its cast, and the suite written down beside them."""
    if (folder / CAST_FILE).exists():
        project = Project(folder)
        if strangers := sorted(set(suite.people) - set(project.cast.identities)):
            raise OptionError(
                f"--output {folder} is a project without {', '.join(strangers)}; choose another folder for this suite."
            )
    else:
        project = new_project(folder, identities={name: person.consent for name, person in suite.people.items()})
    write_suite(suite, folder / "suite.toml")
    return project


def _processors() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
