"""Faces to a checkpoint: the only place that joins a family to the training loop."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy import __version__, families
from understudy.errors import CheckpointError, DatasetError, OptionError
from understudy.family import Recipe, checkpoint_path
from understudy.jobs.project import Project, find_project, require_consent
from understudy.provenance.atomic import write_json
from understudy.provenance.record import RunRecord

if TYPE_CHECKING:
    from understudy.family import Trainable
    from understudy.provenance.cast import Consent
    from understudy.training.loop import Batches, LoopReport

Progress = Callable[[str, int, int | None], None]
SETTINGS = "settings.json"


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options of :func:`train`."""

    family: str = field(default="comb", metadata={"help": "Which system to train."})
    preset: str = field(
        default="preview", metadata={"help": "Size and length of the training; the family's page lists them."}
    )
    stage: str | None = field(
        default=None, metadata={"help": "Which network, for families that train several one after another."}
    )
    project: Path | None = field(default=None, metadata={"help": "Project folder; default: the one around you."})
    identities: tuple[str, ...] = field(
        default=(), metadata={"help": "Whom to learn; repeat it for several. Default: everyone with gathered faces."}
    )
    run: str | None = field(default=None, metadata={"help": "Name of the run's folder; default: family and preset."})
    from_: str | None = field(
        default=None,
        metadata={
            "help": "Weights to start from: base, none, a run's name or a checkpoint's path. Default: the preset's own."
        },
    )
    minutes: float | None = field(
        default=None,
        metadata={"help": "Train this long in all, counting earlier stretches. Default: to the preset's end."},
    )
    pictures: int | None = field(default=None, metadata={"help": "Length of the last stage in training pictures."})
    split_level: int | None = field(
        default=None,
        metadata={"help": "Last decoder level that all identities share, -1 for none. Default: the preset's, 1."},
    )
    batch: int | None = field(
        default=None, metadata={"help": "Pictures of every identity in a step of the last stage."}
    )
    precision: str = field(default="auto", metadata={"help": "auto, bf16 or float32."})
    device: str = field(default="auto", metadata={"help": "auto, cpu, cuda or mps."})
    devices: int = field(default=1, metadata={"help": "Devices to train on; start with torchrun for more than one."})
    seed: int = field(default=0, metadata={"help": "Of all random numbers."})
    hold_back: int = field(
        default=0,
        metadata={
            "help": "Keep one stretch of 12 frames in so many away from training, for 'understudy evaluate model'. 0: none."
        },
    )
    consent: Path | None = field(default=None, metadata={"help": "A consent record, outside a project's cast."})
    paired: Path | None = field(
        default=None,
        metadata={"help": "Folder of many people's paired performances; trains a base model (preset base)."},
    )
    data: Path | None = field(
        default=None,
        metadata={"help": "Folder of labelled pictures, for families that learn from those (docs/train.md)."},
    )
    layout: str = field(
        default="folder",
        metadata={
            "help": "How --data is laid out: folder (the family's own form), celeba, celebamask, emotionnet, multipie or rafd."
        },
    )
    without: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "Leave this term of the loss, or this part of the network, out; repeat it for several (for ablations)."
        },
    )

    def __post_init__(self) -> None:
        if self.minutes is not None and self.minutes <= 0:
            raise OptionError(f"--minutes {self.minutes:g}: training needs a positive number of minutes.")
        if self.hold_back < 0 or self.hold_back == 1:
            raise OptionError(f"--hold-back {self.hold_back}: must be 2 or more, 20 is usual; 0 keeps nothing back.")
        for name, value in (("pictures", self.pictures), ("batch", self.batch), ("devices", self.devices)):
            if value is not None and value < 1:
                raise OptionError(f"--{name} {value}: must be 1 or more.")
        if self.precision not in ("auto", "bf16", "float32"):
            raise OptionError(f"--precision {self.precision}: choose auto, bf16 or float32.")


@dataclass(frozen=True, kw_only=True)
class TrainReport:
    """What :func:`train` did."""

    run: Path
    checkpoint: Path
    identities: tuple[str, ...]
    preset: str
    pictures: int
    """Training pictures seen in all."""
    steps: int
    seconds: float
    """Of this stretch."""
    pictures_per_second: float
    finished: bool
    """The recipe's end or the minutes' end is reached."""
    stopped_by: str
    preview: Path
    figures: Mapping[str, float]


def make_recipe(options: TrainOptions, project: Project | None) -> Recipe:
    """The preset with the options' changes."""
    family = families.get(options.family)
    if options.stage not in (family.parts or (None,)):
        parts = f"choose {', '.join(family.parts)}" if family.parts else f"{options.family} trains in one; leave it out"
        raise OptionError(f"--stage {options.stage or 'is needed'}: {parts}.")
    recipe = family.recipe(options.preset, **({"stage": options.stage} if family.parts else {}))
    last = recipe.stages[-1]
    if options.pictures is not None:
        last = replace(last, pictures=options.pictures)
    if options.batch is not None:
        last = replace(last, batch=options.batch)
    start = recipe.start
    if options.from_ == "none":
        start = None
    elif options.from_ is not None and options.from_ != "base":
        start = str(resolve_checkpoint(options.from_, project))
    elif options.from_ == "base":
        start = "base"
    network = dict(recipe.network)
    if options.split_level is not None:
        network["split_level"] = options.split_level
    terms = [name for name, value in recipe.losses.items() if isinstance(value, float)]
    parts = [name for name, value in network.items() if value is True]
    for term in options.without:
        if term not in (*terms, *parts):
            network_parts = f", its network {', '.join(parts)}" if parts else ""
            raise OptionError(
                f"--without {term}: this preset's loss has {', '.join(terms) or 'no terms to choose from'}{network_parts}."
            )
        if term in parts:
            network[term] = False
    return replace(
        recipe,
        stages=(*recipe.stages[:-1], last),
        network=network,
        losses={**recipe.losses, **{term: 0.0 for term in options.without if term in terms}},
        start=start,
        precision=options.precision,
        seed=options.seed,
        # Without weights to protect, every part learns at the full rate.
        rates=recipe.rates if start is not None or recipe.start is None else {},
    )


def resolve_checkpoint(name: str | Path, project: Project | None) -> Path:
    """A checkpoint from its path, its run's folder, or its run's name: in the project, or in ``runs`` here outside of one.

    Raises:
        OptionError: nothing of that name is there.
    """
    runs = project.runs if project is not None else Path("runs")  # where a training outside a project leaves them
    candidates = [Path(name), runs / str(name)]
    for candidate in candidates:
        if candidate.is_dir() and checkpoint_path(candidate).is_file():
            return checkpoint_path(candidate)
        if candidate.is_file():
            return candidate
    names = [path.parent.name for path in sorted(runs.glob("*/model.safetensors"))]
    known = f"; there are the runs {', '.join(names)}" if names else "; train one first"
    raise OptionError(f"--run {name}: there is no such checkpoint, run folder or run{known}.")


def train(options: TrainOptions, progress: Progress = lambda *_: None) -> TrainReport:
    """Train a family on a project's face sets, or on labelled pictures. The same call goes on where the run's folder says.

    Raises:
        OptionError, DatasetError, ConsentError, CheckpointError, StorageError.
    """
    labelled = options.data is not None or families.get(options.family).labelled
    if options.hold_back and (options.paired is not None or labelled):
        raise OptionError(
            "--hold-back is for gathered faces; labelled data name their test pictures themselves (part)."
        )
    if options.paired is not None:
        return _train_paired(options, progress)
    if labelled:
        return _train_labelled(options, progress)
    project = find_project(options.project)
    identities = options.identities or tuple(project.gathered())
    if not identities:
        raise DatasetError(f"{project.root} has no gathered faces yet; run 'understudy gather CLIP --as NAME' first.")
    if len(set(identities)) < len(identities):
        raise OptionError(f"--identities {' '.join(identities)}: a name stands there twice.")
    missing = [name for name in identities if name not in project.gathered()]
    if missing:
        raise DatasetError(
            f"{project.faces(missing[0])} holds no gathered faces; run 'understudy gather CLIP --as {missing[0]}' first "
            f"(gathered so far: {', '.join(project.gathered()) or 'nobody'})."
        )
    consents = {name: require_consent(name, "train", project=project, consent=options.consent) for name in identities}
    recipe = make_recipe(options, project)
    run = project.runs / (options.run or f"{options.family}-{options.preset}")
    from understudy.dataset.batches import FaceSetPictures, IdentityBatches
    from understudy.dataset.face_set import FaceSet

    sets = [FaceSet.open(project.faces(name)) for name in identities]
    resolution = recipe.stages[-1].resolution
    sources = {
        # Pictures twice as large keep their sharpness when they are moved.
        name: FaceSetPictures(
            face_set,
            min(face_set.size, resolution * 2 if resolution <= 256 else resolution),
            hold_back=options.hold_back,
        )
        for name, face_set in zip(identities, sets, strict=True)
    }
    batches = IdentityBatches(sources, augment=recipe.augment, seed=recipe.seed, rank=_rank())
    trainable = families.get(options.family).trainable(recipe, identities, sources)
    data = ", ".join(f"{name}: {len(source)} pictures" for name, source in sources.items())
    try:
        return _run(options, recipe, run, identities, trainable, batches, consents, data, progress)
    finally:
        for face_set in sets:
            face_set.close()


def _train_paired(options: TrainOptions, progress: Progress) -> TrainReport:
    assert options.paired is not None
    from understudy.dataset.paired import PairedPerformances

    if options.preset != "base":
        raise OptionError(
            f"--paired {options.paired}: only the preset base trains on paired performances; add --preset base."
        )
    if not options.paired.is_dir():
        raise DatasetError(
            f"--paired {options.paired} is no folder; it should hold one .npz of aligned pictures per person."
        )
    project = find_project(options.project, required=False)
    consent = require_consent("people", "train", project=project, consent=options.consent)
    recipe = make_recipe(options, project)
    run = (project.runs if project is not None else Path("runs")) / (options.run or f"{options.family}-base")
    batches = PairedPerformances(options.paired, augment=recipe.augment, seed=recipe.seed, rank=_rank())
    people = tuple(batches.people)
    trainable = families.get(options.family).trainable(recipe, people, {})
    pictures = zip(people, batches.pictures, strict=True)
    data = ", ".join(f"{name}: {len(shown)} pictures" for name, shown in pictures)
    return _run(options, recipe, run, people, trainable, batches, {"people": consent}, data, progress)


def _train_labelled(options: TrainOptions, progress: Progress) -> TrainReport:
    from understudy.dataset.labelled_batches import LabelledPictures
    from understudy.jobs.labelled_data import FOLDER, labelled_folder, with_points

    family = families.get(options.family)
    if not family.labelled:
        raise OptionError(
            f"--data: {options.family} learns from a project's gathered faces, not from labelled pictures."
        )
    if options.data is None:
        raise OptionError(f"{options.family} learns from labelled pictures; name their folder with --data.")
    project = find_project(options.project, required=False)
    consent = require_consent("people", "train", project=project, consent=options.consent)
    recipe = make_recipe(options, project)
    named = "-".join(part for part in (options.family, options.stage, recipe.preset) if part)
    run = (project.runs if project is not None else Path("runs")) / (options.run or named)
    if family.batches is not None:
        batches = family.batches(
            recipe, options.data, layout=options.layout, keep=run / FOLDER, rank=_rank(), progress=progress
        )
        return _run_labelled(options, recipe, run, batches, consent, progress)
    side = round(recipe.stages[-1].resolution * 1.25)
    oval_share = float(recipe.network.get("oval_share", 0.5))
    folder = labelled_folder(options.data, options.layout, run, side=side, oval_share=oval_share, progress=progress)
    recipe, by_points = with_points(recipe, folder, run, progress=progress)
    batches = LabelledPictures(
        folder,
        expressions=tuple(recipe.network.get("expressions", ())),
        side=side,
        oval_share=oval_share,
        augment=recipe.augment,
        seed=recipe.seed,
        rank=_rank(),
        **by_points,
    )
    return _run_labelled(options, recipe, run, batches, consent, progress)


def _run_labelled(
    options: TrainOptions,
    recipe: Recipe,
    run: Path,
    batches: Any,
    consent: Consent,
    progress: Progress,
) -> TrainReport:
    """Train on ``batches``, which know how many pictures of which people they draw from."""
    assert options.data is not None
    trainable = families.get(options.family).trainable(recipe, ("people",), {"people": batches})
    data = f"{options.data.resolve().name} ({options.layout}): {len(batches)} pictures of {len(batches.people)} people"
    return _run(options, recipe, run, ("people",), trainable, batches, {"people": consent}, data, progress)


def _run(
    options: TrainOptions,
    recipe: Recipe,
    run: Path,
    identities: tuple[str, ...],
    trainable: Trainable,
    batches: Batches,
    consents: Mapping[str, Consent],
    data: str,
    progress: Progress,
) -> TrainReport:
    from understudy.checkpoint import ModelCard, save_checkpoint
    from understudy.training.loop import Loop, LoopOptions

    _claim(run, recipe, identities, options.hold_back)
    record = RunRecord.begin("train", options)
    for name, consent in consents.items():
        record.add_consent(name, consent)
    loop = Loop(
        trainable,
        recipe,
        batches,
        run,
        LoopOptions(device=options.device, devices=options.devices, minutes=options.minutes),
    )
    path = checkpoint_path(run)
    earlier = _teachers(recipe.start, path)
    report: LoopReport = loop.train(progress)
    tensors, network = loop.checkpoint()
    if loop.fabric.is_global_zero:
        card = ModelCard(
            family=options.family,
            preset=options.preset,
            network=network,
            data=data,
            pictures=report.pictures,
            consent={name: consent.as_record() for name, consent in consents.items()},
            machine=json.dumps(record.machine, default=str),
            date=date.today().isoformat(),
            figures=report.figures,
            version=__version__,
            # Most families learn from their pictures alone.
            taught_by=tuple(dict.fromkeys([*earlier, *getattr(trainable, "taught_by", ())])),
        )
        save_checkpoint(path, tensors, card)
        record.figures = {"pictures": report.pictures, "seconds": report.seconds, **report.figures}
        record.write(path)
    return TrainReport(
        run=run,
        checkpoint=path,
        identities=identities,
        preset=options.preset,
        pictures=report.pictures,
        steps=report.steps,
        seconds=report.seconds,
        pictures_per_second=report.pictures_per_second,
        finished=report.finished or report.stopped_by == "minutes",
        stopped_by=report.stopped_by,
        preview=run / "previews" / "latest.jpg",
        figures=report.figures,
    )


def _teachers(start: str | None, path: Path) -> list[str]:
    """The foreign networks that taught what a training begins with: the weights that it starts from, the run's own earlier ones."""
    from understudy.checkpoint import read_card

    found: list[str] = []
    for file in (start, path):
        if file not in (None, "base"):
            try:
                found += read_card(file).taught_by
            except CheckpointError:  # not there yet
                continue
    return found


def _claim(run: Path, recipe: Recipe, identities: tuple[str, ...], hold_back: int) -> None:
    """Write the run's settings, or check that they are the ones it began with."""
    facts = {"recipe": asdict(recipe), "identities": list(identities), "hold_back": hold_back}
    settings: dict[str, Any] = json.loads(json.dumps(facts, default=str))
    path = run / SETTINGS
    if not path.exists():
        write_json(path, settings)
        return
    before = json.loads(path.read_text())
    # A setting that came with a newer version was at its default before.
    defaults = {f.name: f.default for f in fields(Recipe) if f.default is not MISSING}
    earlier = {**json.loads(json.dumps(defaults, default=str)), **before.get("recipe", {})}
    changed = sorted(
        name for name in settings["recipe"].keys() | earlier.keys() if settings["recipe"].get(name) != earlier.get(name)
    )
    if before.get("identities") != settings["identities"]:
        changed.append("identities")
    if before.get("hold_back", 0) != hold_back:
        changed.append("hold_back")
    if changed:
        raise OptionError(
            f"{run} began with other settings ({', '.join(changed)}); give the first ones again to go on with it, or name a new "
            f"--run (with --from {run.name} to start from its weights)."
        )


def _rank() -> int:
    """This process among those that torchrun started."""
    import os

    return int(os.environ.get("RANK", "0"))
