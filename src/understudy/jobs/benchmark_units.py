"""The benchmark's action units: what reads them off faces, against the units that the rendered faces were given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from understudy.dataset.suite import UnitTask
from understudy.errors import DatasetError, MediaError
from understudy.jobs.benchmark_rows import UNITS, Row, RowStore, clip_digest
from understudy.jobs.benchmark_swap import Contender
from understudy.jobs.project import Project

if TYPE_CHECKING:
    from understudy.jobs.performance import UnitReader
    from understudy.jobs.track import FaceFinder

Progress = Callable[[str, int, int | None], None]

REST, READER = "at rest", "reader"
"""What has to be beaten: every face is at rest; and the package's regressor on the mesh."""


class UnitBench:
    """Fills the rows of the suite's units."""

    def __init__(
        self,
        project: Project,
        store: RowStore,
        progress: Progress,
        finder: FaceFinder | None = None,
        reader: UnitReader | None = None,
    ) -> None:
        self.project, self.store, self.progress = project, store, progress
        self.finder, self._reader = finder, reader

    def rows(self, contender: Contender, tasks: Sequence[UnitTask]) -> list[Row]:
        """The contender's rows, made or kept."""

        def answer(task: UnitTask) -> Row:
            row = Row(contender=contender.name, kind="units", task=task.name)
            return self.store.answered(row, lambda: self._asked(contender, task), lambda: self._row(row, task))

        return [answer(task) for task in tasks]

    def _asked(self, contender: Contender, task: UnitTask) -> dict[str, Any]:
        from understudy import __version__
        from understudy.faces import action_units
        from understudy.provenance.record import path_sha256

        model = Path(action_units.__file__).parent / "data" / "action_units.safetensors"
        return {
            "contender": contender.name,
            "model": path_sha256(model) if contender.name == READER else None,
            "clip": clip_digest(task.clip),
            "truth": path_sha256(task.truth),
            "version": __version__,
        }

    def _row(self, row: Row, task: UnitTask) -> Row:
        from understudy.dataset.suite_units import read_suite_units
        from understudy.jobs.evaluate_performance import UNITS as NETWORK
        from understudy.jobs.performance import MeshUnits
        from understudy.metrics.action_units import unit_error, unit_scores

        places, meshes, num_frames = self._meshes(task.clip)
        truth = read_suite_units(task.truth)
        if len(truth) != num_frames:
            raise DatasetError(f"{task.truth} has {len(truth)} rows, and {task.clip} {num_frames} frames.")
        truth = truth[places]
        if row.contender == REST:
            found = np.zeros_like(truth)
        else:
            reader = self._reader or MeshUnits()
            found = reader.measure(meshes, reader.rest_of(meshes))
        each = unit_scores(found, truth)
        moves = truth.std(axis=0) > 0.25  # of a unit that hardly moves, correlation is that of noise
        scores = {"units": unit_error(found, truth), "unit_error": float(each.error.mean())}
        if row.contender != REST and moves.any():
            known = {name: float(each.correlation[unit]) for name, unit in UNITS.items() if moves[unit]}
            known = {name: 0.0 if np.isnan(value) else value for name, value in known.items()}
            scores |= {"unit_correlation": float(np.mean(list(known.values()))), **known}
        networks = {} if row.contender == REST else {"units": NETWORK}
        return replace(row, scores=scores, frames=len(truth), networks=networks)

    def _meshes(self, source: Path) -> tuple[list[int], np.ndarray, int]:
        """The places of the frames in which the face was found, its meshes (n, 478, 3), and how many frames there are."""
        from understudy.jobs.measure import PlatePerson
        from understudy.jobs.options_track import TrackOptions
        from understudy.jobs.track import track_clip
        from understudy.media.clip import open_clip

        plainly = TrackOptions(stabilise=False, smooth=False)  # as the truth's shake is measured: followed once
        cache = self.project.tracks
        with (
            open_clip(source) as clip,
            track_clip(clip, options=plainly, finder=self.finder, cache=cache, progress=self.progress) as faces,
        ):
            person = PlatePerson(faces)
            seen = [(place, person.face(number)) for place, number in enumerate(clip.numbers)]
            found = [(place, tracked.face.landmarks) for place, tracked in seen if tracked is not None]
            if not found:
                raise MediaError(f"{source} shows no face.")
            return [place for place, _ in found], np.stack([np.asarray(mesh) for _, mesh in found]), len(clip)
