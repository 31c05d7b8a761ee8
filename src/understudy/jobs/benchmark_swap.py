"""The benchmark's swaps: contenders are trained on the suite's footage, swap its plates, and are measured against its answers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.dataset.suite import Suite, SwapTask
from understudy.jobs.benchmark_rows import (
    AUTOENCODER,
    MEASURES,
    NEAREST,
    TRUTH,
    UNCHANGED,
    Row,
    RowStore,
    clip_digest,
    lossless_path,
    refuse_if_seen,
)
from understudy.jobs.evaluate_measures import SHOT
from understudy.jobs.options_benchmark import BenchmarkOptions
from understudy.jobs.project import Project
from understudy.media.pattern import Pattern

if TYPE_CHECKING:
    from understudy.family import Performer
    from understudy.jobs.evaluate_figures import ShotFigures
    from understudy.jobs.track import FaceFinder

Progress = Callable[[str, int, int | None], None]

_TRUTHS = ("identity", "jitter", "pose", "expression", "units", "flow_warp", "seam")
_PLATES = ("the plate", "the plate's face", "frames with a face")


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
    performer: Performer | None
    """None of a family that swaps region by region: it is opened for each shot."""
    method: str | None = None
    training: float = 0.0
    pictures: int = 0
    starts: str = ""
    notes: tuple[str, ...] = ()
    own_detail: bool = True
    """Fine detail from the performers' footage goes onto its faces, as in a user's swap; baselines do without."""


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

        def answer(task: SwapTask) -> Row:
            row = Row(contender=contender.name, kind="swap", task=task.name)
            return self.store.answered(row, lambda: self._asked(contender, task), lambda: self._row(contender, task))

        return [answer(task) for task in tasks]

    def _asked(self, contender: Contender, task: SwapTask) -> dict[str, Any]:
        from understudy import __version__
        from understudy.metrics.identity import missing_identity
        from understudy.metrics.lpips import missing_lpips
        from understudy.provenance.record import path_sha256

        options = self.options
        by_region = self._by_region(contender)
        learns = contender.name not in (UNCHANGED, TRUTH) and by_region is None
        checkpoint = by_region or contender.checkpoint
        return {
            "measures": sorted(MEASURES),
            "contender": contender,
            "checkpoint": path_sha256(checkpoint) if checkpoint else None,
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
            return self._scored(replace(row, movie=str(movie)), self._figures(movie, task))
        model = self._model(contender)
        movie = lossless_path(self.project.renders / contender.folder, task.name, task.plate)
        mattes = movie.parent / "mattes" / f"{task.name}.####.png"
        report = self._swap(model, task, movie, mattes)
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
        return self._scored(row, self._figures(movie, task, mattes, model.checkpoint))

    def _swap(self, model: Model, task: SwapTask, movie: Path, mattes: Path) -> Any:
        from understudy.composite.options import CompositeOptions
        from understudy.jobs.shot import SwapOptions, swap_shot

        options = SwapOptions(
            plate=str(task.plate),
            identity=task.identity,
            output=movie,
            mattes=mattes,
            method=model.method,
            run=str(model.checkpoint),
            project=self.project.root,
            device=self.options.device,
            composite=CompositeOptions(own_detail=float(model.own_detail)),
        )
        return swap_shot(options, self._named(task.name), performer=model.performer, finder=self.finder)

    def _figures(
        self, movie: Path, task: SwapTask, mattes: Path | None = None, checkpoint: Path | None = None
    ) -> tuple[ShotFigures, Mapping[str, str]]:
        """A result's figures, and why some may not be taken."""
        from understudy.jobs.evaluate_figures import shot_figures
        from understudy.jobs.evaluate_judges import barred
        from understudy.jobs.options_evaluate import EvaluateSwapOptions

        options = EvaluateSwapOptions(
            swap=movie,
            plate=task.plate,
            identity=task.identity,
            truth=task.truth,
            mattes=mattes,
            project=self.project.root,
            size=self.options.size,
            every=self.options.every,
        )
        barriers = barred(checkpoint)
        figures = shot_figures(
            options, self.project, self._named(task.name), finder=self.finder, barriers=barriers, others=False
        )
        return figures, barriers

    @staticmethod
    def _scored(row: Row, found: tuple[ShotFigures, Mapping[str, str]]) -> Row:
        figures, barriers = found
        scores = {name: value for name, value in figures.scores["swap"].items() if name in MEASURES}
        if row.contender == TRUTH:  # against itself only what needs no truth says anything
            scores = {name: value for name, value in scores.items() if name in _TRUTHS}
        if row.contender == UNCHANGED:  # nor does the plate against itself
            scores = {name: value for name, value in scores.items() if SHOT[name].against not in _PLATES}
        if Pattern.of(Path(row.movie)) is None:
            scores.pop("outside", None)  # an encoder changes a little everywhere
        scores = {name: value for name, value in scores.items() if math.isfinite(value)}  # too few frames to tell
        networks = {name: words for name, words in figures.networks.items() if name in scores}
        notes = tuple(dict.fromkeys((*row.notes, *barriers.values(), *figures.missing)))
        return replace(row, scores=scores, frames=len(figures.scale.numbers), notes=notes, networks=networks)

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
        if (checkpoint := self._by_region(contender)) is not None:
            return Model(
                checkpoint=checkpoint,
                performer=None,
                method=contender.family,
                pictures=read_card(checkpoint).pictures,
                starts="packaged weights" if contender.checkpoint is None else "given weights",
                notes=(f"{contender.family} swaps region by region from gathered pictures; nobody was learnt",),
            )
        if contender.checkpoint is not None:
            card = read_card(contender.checkpoint)
            notes = ("trained elsewhere; that it has never seen the suite's answers cannot be checked here",)
            return Model(
                checkpoint=contender.checkpoint,
                performer=open_performer(contender.checkpoint, device=self.options.device),
                pictures=card.pictures,
                starts="given weights",
                notes=notes,
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
        )

    def _by_region(self, contender: Contender) -> Path | None:
        """The weights of a family that swaps without learning anybody; None for the others.

        Raises:
            CheckpointError: there are none, or they have been trained on somebody of the suite.
        """
        from understudy import families
        from understudy.family import Task
        from understudy.perform.region_faces import find_editor

        known = contender.family in families.names() and contender.name not in (NEAREST, AUTOENCODER)
        if not known or Task.SWAP in families.get(contender.family).tasks:
            return None
        _, checkpoint = find_editor(contender.checkpoint, contender.family)
        refuse_if_seen(self.suite, checkpoint)
        return checkpoint

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
            own_detail=False,
            notes=(f"{settings.size} pixels, {'half the published width' if light else 'the published width'}",),
        )

    def _nearest(self, contender: Contender) -> Model:
        """The training pictures nearest to what a family's swap generates; ``contender.family`` says whose."""
        model = self._model(replace(contender, name=contender.family, family=contender.family.split(":")[0]))
        assert model.performer is not None, "only families that learn the cast have neighbours"
        nearest = _Nearest(model.performer, self.project)
        return replace(
            model,
            performer=nearest,
            pictures=0,
            starts="",
            notes=(f"nearest to {contender.family}'s faces",),
            own_detail=False,
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
