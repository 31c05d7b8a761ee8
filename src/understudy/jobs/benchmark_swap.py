"""The benchmark's swaps: contenders are trained on the suite's footage, swap its plates, and are measured against its answers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.dataset.suite import Suite, SwapTask
from understudy.errors import UserError
from understudy.jobs.benchmark_rows import (
    AUTOENCODER,
    NEAREST,
    TRUTH,
    UNCHANGED,
    Row,
    RowStore,
    clip_digest,
    result_path,
)
from understudy.jobs.options_benchmark import BenchmarkOptions
from understudy.jobs.project import Project

if TYPE_CHECKING:
    from understudy.family import Performer
    from understudy.jobs.measure import MeasureReport
    from understudy.jobs.track import FaceFinder

Progress = Callable[[str, int, int | None], None]


class Interrupted(Exception):  # noqa: N818 - no error: training stopped in good order
    """Training was stopped by a signal; what is done is kept."""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """Somebody to measure: a family with a preset, or its weights; or a baseline."""

    name: str
    family: str = ""
    preset: str | None = None
    checkpoint: Path | None = None

    @property
    def folder(self) -> str:
        """Its name as a folder's."""
        return self.name.replace(":", "-")


@dataclass(frozen=True, kw_only=True)
class Model:
    """A contender ready to swap."""

    checkpoint: Path
    performer: Performer
    training: float = 0.0
    pictures: int = 0
    starts: str = ""
    notes: tuple[str, ...] = ()
    taught_by: tuple[str, ...] = field(default_factory=tuple)


class SwapBench:
    """Fills the rows of the suite's swaps, one contender after the other."""

    def __init__(
        self,
        options: BenchmarkOptions,
        suite: Suite,
        project: Project,
        store: RowStore,
        progress: Progress,
        finder: FaceFinder | None = None,
    ) -> None:
        self.options, self.suite, self.project, self.store = options, suite, project, store
        self.progress, self.finder = progress, finder
        self._opened: dict[str, Model] = {}
        self._gathered = False

    @property
    def people(self) -> tuple[str, ...]:
        """Everybody with footage: whom every contender learns."""
        return tuple(name for name, person in self.suite.people.items() if person.footage)

    def rows(self, contender: Contender, tasks: Sequence[SwapTask]) -> list[Row]:
        """The contender's rows, made or kept."""
        made = []
        for task in tasks:
            asked = self._asked(contender, task)
            row = self.store.find(contender.name, task.name, asked)
            if row is None:
                try:
                    row = self.store.keep(self._row(contender, task), asked)
                except UserError as error:
                    # Another contender's rows are worth having; what went wrong stands in the table, and is tried again.
                    row = Row(contender=contender.name, kind="swap", task=task.name, skipped=str(error))
            made.append(row)
        return made

    def _asked(self, contender: Contender, task: SwapTask) -> dict[str, Any]:
        from understudy import __version__
        from understudy.metrics.identity import missing_identity
        from understudy.metrics.lpips import missing_lpips
        from understudy.provenance.record import path_sha256

        options = self.options
        learns = contender.name not in (UNCHANGED, TRUTH)
        return {
            "contender": contender,
            "checkpoint": path_sha256(contender.checkpoint) if contender.checkpoint else None,
            "minutes": options.minutes if learns else None,
            "autoencoder": options.autoencoder if contender.name == AUTOENCODER else None,
            "seed": options.seed if learns else None,
            "plate": clip_digest(task.plate),
            "truth": clip_digest(task.truth),
            "identity": task.identity,
            "footage": [clip_digest(path) for name in self.people for path in self.suite.people[name].footage],
            "every": options.every,
            "size": options.size,
            "evaluators": [missing_identity() is None, missing_lpips() is None],
            "version": __version__,
        }

    def _row(self, contender: Contender, task: SwapTask) -> Row:
        self._gather()
        row = Row(contender=contender.name, kind="swap", task=task.name)
        if contender.name in (UNCHANGED, TRUTH):
            movie = task.plate if contender.name == UNCHANGED else task.truth
            return self._scored(replace(row, movie=str(movie)), self._measure(movie, task))
        model = self._model(contender)
        movie = result_path(self.project.renders / contender.folder, task.name, task.plate)
        report = self._swap(model, task, movie)
        row = replace(
            row,
            movie=str(movie.relative_to(self.project.root)),
            training=round(model.training, 1),
            pictures=model.pictures,
            per_frame=round((report.seconds["all"] - report.seconds["track"]) / max(report.made, 1), 4),
            starts=model.starts,
            notes=(
                *model.notes,
                *([f"{len(report.passed_through)} frames left as in the plate"] if report.passed_through else []),
            ),
        )
        return self._scored(row, self._measure(movie, task), model.taught_by)

    def _swap(self, model: Model, task: SwapTask, movie: Path) -> Any:
        from understudy.jobs.shot import SwapOptions, swap_shot

        options = SwapOptions(
            plate=str(task.plate),
            identity=task.identity,
            output=movie,
            run=str(model.checkpoint),
            project=self.project.root,
            device=self.options.device,
        )
        return swap_shot(options, self._named(task.name), performer=model.performer, finder=self.finder)

    def _measure(self, movie: Path, task: SwapTask) -> MeasureReport:
        from understudy.jobs.measure import MeasureOptions, measure

        options = MeasureOptions(
            swap=movie,
            plate=task.plate,
            identity=task.identity,
            truth=task.truth,
            project=self.project.root,
            size=self.options.size,
            every=self.options.every,
        )
        return measure(options, self._named(task.name), finder=self.finder)

    @staticmethod
    def _scored(row: Row, report: MeasureReport, taught_by: Sequence[str] = ()) -> Row:
        from understudy.metrics import identity, lpips

        scores = {**report.scores.get("swap", {}), "jitter": report.jitter.get("swap", float("nan"))}
        if row.contender == TRUTH:  # against itself only what needs no truth says anything
            scores = {name: value for name, value in scores.items() if name in ("identity", "jitter")}
        notes = list(row.notes)
        for name, network in (("identity", identity.WEIGHTS), ("lpips", lpips.WEIGHTS)):
            if network in taught_by and name in scores:
                del scores[name]
                notes.append(f"{name} is left out: {network} helped to train this model")
        scores = {name: value for name, value in scores.items() if math.isfinite(value)}  # too few frames to tell
        return replace(row, scores=scores, frames=len(report.numbers), notes=(*notes, *report.missing))

    # -- getting ready ------------------------------------------------------------------------------------------------

    def _gather(self) -> None:
        """Gather the faces of everybody's footage, once; what is there already stays."""
        from understudy.jobs.gather import gather
        from understudy.jobs.options_gather import GatherOptions

        if self._gathered:
            return
        for name in self.people:
            for clip in self.suite.people[name].footage:
                options = GatherOptions(source=str(clip), identity=name, project=self.project.root)
                gather(options, self._named(name), finder=self.finder)
        self._gathered = True

    def _model(self, contender: Contender) -> Model:
        if contender.name not in self._opened:
            make = {AUTOENCODER: self._autoencoder, NEAREST: self._nearest}.get(contender.name, self._family)
            self._opened[contender.name] = make(contender)
        return self._opened[contender.name]

    def _family(self, contender: Contender) -> Model:
        from understudy import families
        from understudy.checkpoint import read_card
        from understudy.jobs.train import TrainOptions, train
        from understudy.perform.swap import open_performer

        family = families.get(contender.family)
        if contender.checkpoint is not None:
            card = read_card(contender.checkpoint)
            notes = ("trained elsewhere; that it has never seen the suite's answers cannot be checked here",)
            return Model(
                checkpoint=contender.checkpoint,
                performer=open_performer(contender.checkpoint, device=self.options.device),
                pictures=card.pictures,
                starts="given weights",
                notes=notes,
                taught_by=tuple(card.taught_by),
            )
        preset = contender.preset or family.presets[0]
        if family.recipe(preset).start == "base":
            for base in Path(families.__file__).with_name(contender.family).glob("base*.safetensors"):
                refuse_if_seen(self.suite, base)
        report = train(
            TrainOptions(
                family=contender.family,
                project=self.project.root,
                preset=preset,
                identities=self.people,
                run=contender.folder,
                minutes=self.options.minutes,
                device=self.options.device,
                seed=self.options.seed,
            ),
            self._named(contender.name),
        )
        self._unless_stopped(report.stopped_by)
        start = family.recipe(preset).start
        return Model(
            checkpoint=report.checkpoint,
            performer=open_performer(report.checkpoint, device=self.options.device),
            training=_trained_for(report.run, report.seconds),
            pictures=report.pictures,
            starts="nothing" if start is None else "packaged base" if start == "base" else start,
            taught_by=tuple(read_card(report.checkpoint).taught_by),
        )

    def _autoencoder(self, contender: Contender) -> Model:
        from understudy.jobs.baselines.autoencoder import LIGHT, AutoencoderSettings
        from understudy.jobs.baselines.autoencoder_training import AutoencoderPerformer, train_autoencoder
        from understudy.tensors import choose_device

        wish = self.options.autoencoder
        light = wish == "light" or (wish == "auto" and choose_device(self.options.device) == "cpu")
        settings = LIGHT if light else AutoencoderSettings()
        run = self.project.runs / f"{AUTOENCODER}-{'light' if light else 'published'}"
        trained = train_autoencoder(
            self.project,
            self.people,
            run,
            minutes=self.options.minutes,
            settings=settings,
            seed=self.options.seed,
            device=self.options.device,
            progress=self._named(contender.name),
        )
        self._unless_stopped(trained.loop.stopped_by)
        return Model(
            checkpoint=trained.checkpoint,
            performer=AutoencoderPerformer(trained.checkpoint, device=self.options.device),
            training=_trained_for(run, trained.loop.seconds),
            pictures=trained.loop.pictures,
            starts="nothing",
            notes=(f"{settings.size} pixels, {'half the published width' if light else 'the published width'}",),
        )

    def _nearest(self, contender: Contender) -> Model:
        """The training pictures nearest to what a family's swap generates; ``contender.family`` says whose."""
        model = self._model(replace(contender, name=contender.family, family=contender.family.split(":")[0]))
        nearest = _Nearest(model.performer, self.project)
        return replace(
            model, performer=nearest, pictures=0, starts="", notes=(f"nearest to {contender.family}'s faces",)
        )

    @staticmethod
    def _unless_stopped(reason: str) -> None:
        if reason.startswith("SIG"):
            raise Interrupted(reason)

    def _named(self, name: str) -> Progress:
        return lambda stage, done, total: self.progress(f"{stage} {name}", done, total)


class _Nearest:
    """The nearest training picture of whichever identity is asked for, as a performer."""

    def __init__(self, performer: Performer, project: Project) -> None:
        self._performer, self._project = performer, project
        self.identities, self.size = performer.identities, performer.size
        self._known: dict[str, Performer] = {}

    def swap(self, crops: Any, identity: str) -> Any:
        from understudy.jobs.measure import NeighbourPerformer

        if identity not in self._known:
            self._known[identity] = NeighbourPerformer(self._performer, self._project.faces(identity))
        return self._known[identity].swap(crops, identity)


def _trained_for(run: Path, seconds: float) -> float:
    """Seconds of training over all stretches, as the run's state keeps them; ``seconds`` where it does not say."""
    from safetensors import safe_open

    from understudy.training.loop import STATE

    if not (run / STATE).is_file():
        return seconds
    with safe_open(str(run / STATE), framework="np") as file:
        return float(json.loads((file.metadata() or {}).get("state", "{}")).get("seconds", seconds))
