"""How well a model by region gives pictures back, and how well it swaps, on people whom it has not seen.

Pictures with exact region maps give the answers. Every picture is taken apart and made again (the paper's Tables 1 and 3): by its
true regions, by those that the parser tells, and with textures fitted to it. Random pairs of different people are swapped (Table
2), with every reenactor that is asked for, ``none`` being the paper's ablation. Several models side by side make the other
ablations. Beside them stands what needs no model: every region in its mean colour, and the target left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from understudy.errors import OptionError
from understudy.family import FaceParts
from understudy.jobs.region_cases import Case, choose_pairs, read_case, read_cases, spread
from understudy.jobs.region_files import name_of
from understudy.jobs.region_scores import RegionScores
from understudy.jobs.regional_drive import Watcher, find_reenactor, open_reenactor
from understudy.metrics.region_overlap import RegionOverlap

if TYPE_CHECKING:
    from understudy.dataset.region_crops import RegionEntry
    from understudy.family import Parser, RegionEditor
    from understudy.jobs.shot_frames import MeshMeasure

Progress = Callable[[str, int, int | None], None]

MEAN_COLOURS, UNCHANGED = "regions in their mean colours", "target, left as it is"
_SHOWN = 8  # columns of the sheet


@dataclass(frozen=True, kw_only=True)
class MeasureRegionsOptions:
    """Options of :func:`measure_regions`.

    Raises:
        OptionError: a number out of its range.
    """

    data: Path = field(
        metadata={"help": "Folder of pictures with region maps (docs/regions.md), of people whom no model has seen."}
    )
    runs: tuple[str, ...] = field(
        default=(),
        metadata={"help": "Model to measure: a run's name or a checkpoint; repeat it. Default: the packaged weights."},
    )
    project: Path | None = field(default=None, metadata={"help": "Project folder; default: the one around you."})
    pictures: int = field(default=60, metadata={"help": "How many pictures are given back, spread over all."})
    pairs: int = field(default=100, metadata={"help": "How many random pairs of people are swapped; 0 for none."})
    reenact: tuple[str, ...] = field(
        default=("mesh",),
        metadata={
            "help": "What gives the source the target's pose and expression, as for `understudy swap`; repeat it."
        },
    )
    order: str = field(default="paper", metadata={"help": "What lies over what in a swap: paper or code."})
    optimise: int = field(
        default=0, metadata={"help": "Also fit the textures to each picture in so many steps (RGI-Optim.); slow."}
    )
    parser: str | None = field(
        default=None, metadata={"help": "The face parser, as for `understudy regions`. Default: the packaged one."}
    )
    output: Path | None = field(
        default=None, metadata={"help": "The picture sheet to write (.png or .jpg); default: inspect/regions.png."}
    )
    seed: int = field(default=0, metadata={"help": "Of the pairs."})
    device: str = field(default="auto", metadata={"help": "auto, cpu, cuda or mps."})

    def __post_init__(self) -> None:
        for name, least in (("pictures", 2), ("pairs", 0), ("optimise", 0)):
            if getattr(self, name) < least:
                raise OptionError(f"--{name} {getattr(self, name)}: must be {least} or more.")
        if self.order not in ("paper", "code"):
            raise OptionError(f"--order {self.order}: choose paper or code.")


@dataclass(frozen=True, kw_only=True)
class MeasureRegionsReport:
    """Means over pictures and pairs.

    Attributes:
        pictures: how many were given back; ``people``: of how many people.
        pairs: how many were swapped; ``gallery``: people among whom a swap was looked up.
        models: model -> its checkpoint and the size of its pictures.
        overlap: region -> intersection over union of the parser's regions with the true ones, 0 to 1, as the first model sees them.
        reconstruction: row -> measure -> mean, over whole crops.
        swaps: row -> measure -> mean.
        seconds: model -> "parse", "encode", "make", "swap", "edit" and perhaps "fit" -> seconds a picture; swaps take the first
            reenactor, and the source's own reading is left out of them, since it is read once.
        barred: model -> measures that are left out, because the network behind them taught the model.
    """

    sheet: Path
    data: Path
    pictures: int
    people: int
    pairs: int
    gallery: int
    models: dict[str, str]
    overlap: dict[str, float]
    mean_overlap: float
    reconstruction: dict[str, dict[str, float]]
    swaps: dict[str, dict[str, float]]
    seconds: dict[str, dict[str, float]]
    networks: dict[str, str]
    barred: dict[str, tuple[str, ...]]
    unread: int
    missing: tuple[str, ...]


def measure_regions(
    options: MeasureRegionsOptions,
    progress: Progress = lambda *_: None,
    *,
    editors: Mapping[str, RegionEditor] | None = None,
    parser: Parser | None = None,
    measure: MeshMeasure | None = None,
) -> MeasureRegionsReport:
    """Measure one model or several.

    Args:
        options: what and how.
        progress: called with ("measure" or "fit", done, total).
        editors: models already open, instead of those that the options name.
        parser: what tells regions apart; None for the one that the options name.
        measure: what finds meshes of made faces; None for MediaPipe's models on this machine.

    Raises:
        DatasetError: no such folder, or pictures of one person alone.
        OptionError, CheckpointError: no such model, or one that does not edit by region.
        WeightsError: the face models are not at hand.
    """
    from understudy.jobs.evaluate_judges import barred
    from understudy.jobs.parsers import named_parser
    from understudy.jobs.project import find_project

    project = find_project(options.project, required=False)
    for name in options.reenact if options.pairs else ():
        find_reenactor(name)
    entries = read_cases(options.data, progress=progress)
    opened, files = (dict(editors), {}) if editors is not None else _open(options)
    if parser is None:
        parser = named_parser(options.parser, project, device=options.device)
    scores = RegionScores(measure)
    given = spread(entries, options.pictures)
    pairs = choose_pairs([entry.person for entry in entries], options.pairs, seed=options.seed)
    rests = _rests(entries, scores) if pairs else {}
    total = len(opened) * (len(given) + len(pairs) * len(options.reenact))
    overlap = RegionOverlap()
    reconstruction: dict[str, dict[str, float]] = {}
    swaps: dict[str, dict[str, float]] = {}
    seconds: dict[str, dict[str, float]] = {}
    bars: dict[str, tuple[str, ...]] = {}
    blocks: list[tuple[str, list[np.ndarray]]] = []
    done = 0

    def step() -> None:
        nonlocal done
        progress("measure", done, total)
        done += 1

    for name, editor in opened.items():
        first, lead = not seconds, f"{name}, " if len(opened) > 1 else ""
        model = _Model(options, entries, editor, parser, scores, rests, lead)
        reconstruction |= model.give_back(given, overlap if first else RegionOverlap(), step, progress, baseline=first)
        swaps |= model.swap(pairs, step, baseline=first)
        own = [f"{lead}{row}" for row in model.own_rows]
        left_out = scores.barred(barred(files[name][0]) if name in files else ())
        for table in (reconstruction, swaps):
            for row in set(table) & set(own):
                table[row] = {key: value for key, value in table[row].items() if key not in left_out}
        if left_out:
            bars[name] = tuple(sorted(left_out))
        blocks += model.shown
        seconds[name] = model.seconds()
    progress("measure", total, total)
    found = {name_of(region): round(value, 5) for region, value in overlap.overlap().items()}
    return MeasureRegionsReport(
        sheet=_sheet(options, blocks),
        data=options.data,
        pictures=len(given),
        people=len({entries[place].person for place in given}),
        pairs=len(pairs),
        gallery=len({entries[source].person for source, _ in pairs}),
        models={name: words for name, (_, words) in files.items()},
        overlap=found,
        mean_overlap=round(overlap.mean(), 5),
        reconstruction=reconstruction,
        swaps=swaps,
        seconds=seconds,
        networks=scores.networks,
        barred=bars,
        unread=scores.unread,
        missing=scores.missing,
    )


class _Model:
    """One model at work on the pictures."""

    def __init__(
        self,
        options: MeasureRegionsOptions,
        entries: Sequence[RegionEntry],
        editor: RegionEditor,
        parser: Parser,
        scores: RegionScores,
        rests: Mapping[str, int],
        lead: str,
    ) -> None:
        self.options, self.entries, self.editor, self.parser = options, entries, editor, parser
        self.scores, self._rests, self.lead = scores, rests, lead
        self.own_rows: list[str] = []
        self.shown: list[tuple[str, list[np.ndarray]]] = []
        self._cases: dict[int, Case] = {}
        self._times: dict[str, list[float]] = {}

    def give_back(
        self,
        places: Sequence[int],
        overlap: RegionOverlap,
        step: Callable[[], None],
        progress: Progress,
        *,
        baseline: bool,
    ) -> dict[str, dict[str, float]]:
        """Tables 1 and 3: row -> measure -> mean."""
        editor, steps = self.editor, self.options.optimise
        made: dict[str, list[np.ndarray]] = {}
        cases = []
        for done, place in enumerate(places):
            step()
            case = self._case(place)
            cases.append(case)
            overlap.add(case.parts.regions, case.truth)
            if baseline:
                made.setdefault(MEAN_COLOURS, []).append(_mean_colours(case.face.crop, case.truth))
            textures = editor.read(case.face.crop[None], case.truth[None])
            made.setdefault("true regions", []).append(self._made(textures.values[0], case.truth))
            made.setdefault("the parser's regions", []).append(self._made(case.parts.values, case.parts.regions))
            if steps:
                progress("fit", done, len(places))
                started = perf_counter()
                values, _ = editor.optimise(case.face.crop, case.truth, textures.values[0], steps=steps)
                self._times.setdefault("fit", []).append(perf_counter() - started)
                made.setdefault(f"fitted in {steps} steps", []).append(self._made(values, case.truth))
        rows = {self._row(name): self.scores.given_back(pictures, cases) for name, pictures in made.items()}
        some = np.unique(np.linspace(0, len(cases) - 1, min(_SHOWN, len(cases))).round().astype(int))
        if baseline:
            self.shown.append(("picture", [cases[place].face.crop for place in some]))
        self.shown += [(self._row(name), [pictures[place] for place in some]) for name, pictures in made.items()]
        return rows

    def swap(
        self, pairs: Sequence[tuple[int, int]], step: Callable[[], None], *, baseline: bool
    ) -> dict[str, dict[str, float]]:
        """Table 2: row -> measure -> mean."""
        if not pairs:
            return {}
        rests = {person: self._case(place) for person, place in self._rests.items()}
        sources, targets = [self._case(source) for source, _ in pairs], [self._case(target) for _, target in pairs]
        rows: dict[str, dict[str, float]] = {}
        some = range(min(_SHOWN, len(pairs)))
        if baseline:
            self.shown += [(label, [cases[k].face.crop for k in some]) for label, cases in _labelled(sources, targets)]
            unchanged = [target.face.crop for target in targets]
            rows[UNCHANGED] = self.scores.swapped(unchanged, sources, targets, rests)
        for name in self.options.reenact:
            made = []
            for source, target in zip(sources, targets, strict=True):
                step()
                started = perf_counter()
                made.append(self._swapped(source, target, name))
                if name == self.options.reenact[0]:
                    self._times.setdefault("swap", []).append(perf_counter() - started)
            row = self._row(f"swap, {name}")
            rows[row] = self.scores.swapped(made, sources, targets, rests)
            self.shown.append((row, [made[k] for k in some]))
        return rows

    def seconds(self) -> dict[str, float]:
        """Seconds a picture by stage; see :class:`MeasureRegionsReport`."""
        for case in self._cases.values():
            for stage, taken in case.seconds.items():
                self._times.setdefault(stage, []).append(taken)
        middle = {stage: float(np.median(taken)) for stage, taken in self._times.items()}
        middle["edit"] = middle["parse"] + middle["encode"] + 2 * middle["make"]
        if "swap" in middle:
            middle["swap"] += middle["parse"] + middle["encode"]
        return {stage: round(taken, 4) for stage, taken in middle.items()}

    def _swapped(self, source: Case, target: Case, reenact: str) -> np.ndarray:
        editor = self.editor
        own = source.source()
        reenactor, _ = open_reenactor(reenact, own, editor=editor, parser=self.parser, device=self.options.device)
        watched = None
        if isinstance(reenactor, Watcher):
            watched = reenactor.watch(target.source().faces[0].view, target.landmarks)
        driven = reenactor.driven(target.landmarks, watched)
        values, shown = own.values, own.shown
        if reenactor.own_textures:
            textures = editor.read(driven.crop[None], driven.regions[None])
            values, shown = textures.values[0], textures.shown[0]
        parts = FaceParts(regions=driven.regions, values=values, shown=shown)
        joined = editor.join(target.parts, parts, order=self.options.order)
        made = editor.make(joined.values[None], joined.regions[None])[0]
        return target.face.crop + joined.matte[..., None] * (made - target.face.crop)

    def _made(self, values: np.ndarray, regions: np.ndarray) -> np.ndarray:
        started = perf_counter()
        made = self.editor.make(values[None], regions[None])[0]
        self._times.setdefault("make", []).append(perf_counter() - started)
        return made

    def _row(self, name: str) -> str:
        if name == MEAN_COLOURS:
            return name
        self.own_rows.append(name)
        return f"{self.lead}{name}"

    def _case(self, place: int) -> Case:
        if place not in self._cases:
            self._cases[place] = read_case(self.entries[place], self.editor, self.parser)
        return self._cases[place]


def _labelled(sources: list[Case], targets: list[Case]) -> list[tuple[str, list[Case]]]:
    return [("source", sources), ("target", targets)]


def _mean_colours(crop: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """A crop (s, s, 3) with every region of its map painted in its mean colour."""
    import cv2

    labels = cv2.resize(regions, crop.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    painted = np.empty_like(crop)
    for region in np.unique(labels):
        painted[labels == region] = crop[labels == region].mean(0)
    return painted


def _rests(entries: Sequence[RegionEntry], scores: RegionScores) -> dict[str, int]:
    """Person -> the place of the picture on which the face does the least."""
    places: dict[str, list[int]] = {}
    for place, entry in enumerate(entries):
        places.setdefault(entry.person, []).append(place)
    meshes = {person: np.stack([entries[k].points for k in own]) for person, own in places.items()}  # type: ignore[misc]
    return {person: own[scores.calmest(meshes[person])] for person, own in places.items()}


def _open(options: MeasureRegionsOptions) -> tuple[dict[str, RegionEditor], dict[str, tuple[Path, str]]]:
    """The editors by the models' names, and the file of each with words about it."""
    from understudy.jobs.project import find_project
    from understudy.jobs.train import resolve_checkpoint
    from understudy.perform.region_faces import find_editor

    project = find_project(options.project, required=False)
    chosen = {name: resolve_checkpoint(name, project) for name in options.runs} or {"packaged": None}
    editors, files = {}, {}
    for name, checkpoint in chosen.items():
        family, path = find_editor(checkpoint)
        editor = family.editor(path, device=options.device)
        editors[name] = editor
        files[name] = path, f"{path} ({editor.size} x {editor.size})"
    return editors, files


def _sheet(options: MeasureRegionsOptions, blocks: list[tuple[str, list[np.ndarray]]]) -> Path:
    import cv2

    from understudy.jobs.sheet import Sheet, write_sheet

    side = max(len(picture) for _, row in blocks for picture in row)
    rows = [
        (
            label,
            [
                cv2.resize(np.ascontiguousarray(picture), (side, side)) if len(picture) != side else picture
                for picture in row
            ],
        )
        for label, row in blocks
    ]
    title = f"{options.data.resolve().name}: pictures given back, and swaps of random pairs"
    sheet = Sheet(title=title, columns=[""] * max(len(row) for _, row in rows), rows=rows)
    return write_sheet(options.output or Path("inspect") / "regions.png", sheet, side=min(192, side))
