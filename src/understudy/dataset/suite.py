"""Suites with exact answers: performances whose true swap, or truly animated still, is known because it was rendered.

A suite is a folder with a ``suite.toml`` beside its clips, movies or sequences, so anybody can add tasks without code:

    title = "Two performers"
    [people.anton]
    synthetic = true                      # or granted_by, scope and until, as in a cast
    footage = ["anton_r1.mp4"]            # what a swap of this person may be trained on
    [[swap]]
    plate = "jun_r2.mp4"                  # jun performs
    identity = "anton"                    # and anton is to be seen
    truth = "anton_as_jun_r2.mp4"         # as here, where he really gives this performance
    [[animate]]
    still = "anton_as_jun_r2.mp4"         # one frame of it; or a picture
    frame = 1
    person = "anton"
    drive = "jun_r2.mp4"                  # does what this performer does
    truth = "anton_as_jun_r2.mp4"         # as here
    [[regions]]
    clip = "anton_as_jun_r2.mp4"          # what a parser reads, and what is given back and edited region by region
    person = "anton"
    truth = "anton_as_jun_r2.npz"         # its true regions (:mod:`understudy.dataset.suite_regions`)
    [[units]]
    clip = "anton_as_jun_r2.mp4"          # what a reader of action units looks at
    person = "anton"
    truth = "anton_as_jun_r2.npz"         # its true units (:mod:`understudy.dataset.suite_units`)

A folder of rendered clips without one is a suite too: ``A_rN`` is A giving take N, ``A_as_B_rN`` is A's face giving B's take.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from understudy.dataset.suite_units import has_units
from understudy.errors import DatasetError
from understudy.media.pattern import Pattern
from understudy.provenance.cast import Consent

FILE = "suite.toml"
_TAKE = re.compile(r"(?P<person>[a-z0-9]+?)(?:_as_(?P<performer>[a-z0-9]+))?_(?P<take>[rp]\d+)")
_MOVIES = (".mp4", ".mov", ".mkv")


@dataclass(frozen=True, kw_only=True)
class SuitePerson:
    """Somebody in a suite: consent, and the footage that may be learnt from."""

    name: str
    consent: Consent
    footage: tuple[Path, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SwapTask:
    """Put ``identity`` on the performer of ``plate``; ``truth`` is the identity really giving that performance."""

    name: str
    plate: Path
    identity: str
    truth: Path


@dataclass(frozen=True, kw_only=True)
class AnimateTask:
    """Let ``person``, seen in frame ``frame`` of ``still``, do what the performer of ``drive`` does; ``truth`` shows it."""

    name: str
    still: Path
    person: str
    drive: Path
    truth: Path
    frame: int = 1


@dataclass(frozen=True, kw_only=True)
class RegionTask:
    """Tell the regions of ``person`` in ``clip`` apart, make the face from them, edit it by them; ``truth`` are the true ones."""

    name: str
    clip: Path
    person: str
    truth: Path


@dataclass(frozen=True, kw_only=True)
class UnitTask:
    """Read the action units of ``person`` in ``clip``; ``truth`` are the true ones."""

    name: str
    clip: Path
    person: str
    truth: Path


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Tasks with their answers."""

    title: str
    folder: Path
    people: Mapping[str, SuitePerson]
    swaps: tuple[SwapTask, ...] = ()
    animations: tuple[AnimateTask, ...] = ()
    regions: tuple[RegionTask, ...] = ()
    units: tuple[UnitTask, ...] = ()
    sha256: str = field(default="", repr=False)
    """Of what the suite asks, clips left aside; two suites that differ have different ones."""

    def seen_by(self, names: Iterable[str], words: str) -> tuple[str, ...]:
        """Whom of the suite a model has been trained on, by the ``names`` on its card and by its ``words`` on its data."""
        known = {name.lower() for name in names}
        known |= set(re.findall(r"[a-z0-9]+", words.lower()))
        return tuple(sorted(name for name in self.people if name.lower() in known))


def open_suite(folder: Path | str) -> Suite:
    """The suite in a folder: its ``suite.toml``, or what the names of its clips say.

    Raises:
        DatasetError: no suite there, a file that is named and missing, a task that cannot be understood, or a truth that is
            somebody's footage to learn from.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DatasetError(
            f"--suite {folder} is no folder; name one with a {FILE}, or 'synthetic' for the packaged suite."
        )
    file = folder / FILE
    if not file.is_file():
        return _checked(_suite_of_clips(folder))
    try:
        values = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DatasetError(f"{file} cannot be read as TOML ({error}); mend that place.") from error
    return _checked(_suite(values, file))


def write_suite(suite: Suite, file: Path) -> None:
    """Write a suite's tasks as TOML; clips in the file's folder by their names, others by their whole paths."""
    from understudy.provenance.atomic import write_text

    def place(path: Path) -> str:
        path = path.resolve()
        inside = file.parent.resolve()
        return _quoted(str(path.relative_to(inside) if path.is_relative_to(inside) else path))

    lines = [f"title = {_quoted(suite.title)}"]
    for person in suite.people.values():
        lines += ["", f"[people.{person.name}]"]
        for key, value in person.consent.as_record().items():
            if isinstance(value, bool) or (value and key in ("granted_by", "document")):
                lines.append(f"{key} = {str(value).lower() if isinstance(value, bool) else _quoted(str(value))}")
            elif value and key == "scope":
                lines.append(f"scope = [{', '.join(map(_quoted, value))}]")
            elif value and key == "until":
                lines.append(f"until = {value}")
        lines.append(f"footage = [{', '.join(map(place, person.footage))}]")
    for task in suite.swaps:
        lines += ["", "[[swap]]", f"name = {_quoted(task.name)}", f"plate = {place(task.plate)}"]
        lines += [f"identity = {_quoted(task.identity)}", f"truth = {place(task.truth)}"]
    for task in suite.animations:
        lines += [
            "",
            "[[animate]]",
            f"name = {_quoted(task.name)}",
            f"still = {place(task.still)}",
            f"frame = {task.frame}",
        ]
        lines += [f"person = {_quoted(task.person)}", f"drive = {place(task.drive)}", f"truth = {place(task.truth)}"]
    for kind, task in (*(("regions", task) for task in suite.regions), *(("units", task) for task in suite.units)):
        lines += ["", f"[[{kind}]]", f"name = {_quoted(task.name)}", f"clip = {place(task.clip)}"]
        lines += [f"person = {_quoted(task.person)}", f"truth = {place(task.truth)}"]
    write_text(file, "\n".join(lines) + "\n")


def _suite(values: Mapping[str, Any], file: Path) -> Suite:
    unknown = sorted(set(values) - {"title", "people", "swap", "animate", "regions", "units"})
    if unknown:
        raise DatasetError(
            f"{file}: {unknown[0]!r} is no part of a suite; it has title, people, swap, animate, regions and units."
        )
    folder = file.parent

    def clip(entry: Mapping[str, Any], key: str, kind: str) -> Path:
        if not isinstance(entry.get(key), str):
            raise DatasetError(f"{file}: a task of [[{kind}]] lacks {key!r}.")
        return folder / entry[key]

    people = {}
    for name, entry in values.get("people", {}).items():
        fields = {key: value for key, value in entry.items() if key in ("granted_by", "synthetic", "document")}
        scope, until = tuple(entry.get("scope", ())), entry.get("until")
        consent = Consent(**fields, scope=scope, until=until if isinstance(until, date) else None, source=str(file))
        footage = tuple(folder / clip for clip in entry.get("footage", ()))
        people[name] = SuitePerson(name=name, consent=consent, footage=footage)
    swaps, animations, regions = [], [], []
    for entry in values.get("swap", ()):
        plate = clip(entry, "plate", "swap")
        identity = str(entry.get("identity", ""))
        name = entry.get("name", f"{identity}_as_{plate.stem}")
        truth = clip(entry, "truth", "swap")
        swaps.append(SwapTask(name=name, plate=plate, identity=identity, truth=truth))
        if "regions" in entry:
            maps = clip(entry, "regions", "swap")
            regions.append(RegionTask(name=f"{name}_regions", clip=truth, person=identity, truth=maps))
    for entry in values.get("animate", ()):
        drive, person = clip(entry, "drive", "animate"), str(entry.get("person", ""))
        animations.append(
            AnimateTask(
                name=entry.get("name", f"{person}_by_{drive.stem}"),
                still=clip(entry, "still", "animate"),
                person=person,
                drive=drive,
                truth=clip(entry, "truth", "animate"),
                frame=int(entry.get("frame", 1)),
            )
        )
    for entry in values.get("regions", ()):
        source = clip(entry, "clip", "regions")
        name, person = entry.get("name", f"{source.stem}_regions"), str(entry.get("person", ""))
        regions.append(RegionTask(name=name, clip=source, person=person, truth=clip(entry, "truth", "regions")))
    units = []
    for entry in values.get("units", ()):
        source = clip(entry, "clip", "units")
        name, person = entry.get("name", f"{source.stem}_units"), str(entry.get("person", ""))
        units.append(UnitTask(name=name, clip=source, person=person, truth=clip(entry, "truth", "units")))
    return Suite(
        title=str(values.get("title", folder.name)),
        folder=folder,
        people=people,
        swaps=tuple(swaps),
        animations=tuple(animations),
        regions=tuple(regions),
        units=tuple(units),
    )


def _suite_of_clips(folder: Path) -> Suite:
    """Every true swap in a folder is a task of both kinds, and every take on its own one of animation."""
    found: dict[tuple[str, str, str], Path] = {}
    for path in sorted(folder.iterdir()):
        match = _TAKE.fullmatch(path.stem)
        if path.suffix.lower() in _MOVIES and match:
            person = match["person"]
            found[person, match["performer"] or person, match["take"]] = path
    takes = {(person, take): path for (person, performer, take), path in found.items() if person == performer}
    names = sorted({person for person, _ in takes})
    people = {
        name: SuitePerson(
            name=name,
            consent=Consent(granted_by="nobody: a rendered performer", synthetic=True),
            footage=tuple(path for (person, _), path in sorted(takes.items()) if person == name),
        )
        for name in names
    }
    swaps, animations, regions, units = [], [], [], []
    for (person, performer, take), path in found.items():
        if person in people and (maps := path.with_suffix(".npz")).is_file():
            regions.append(RegionTask(name=f"{path.stem}_regions", clip=path, person=person, truth=maps))
            if has_units(maps):
                units.append(UnitTask(name=f"{path.stem}_units", clip=path, person=person, truth=maps))
        plate = takes.get((performer, take))
        if plate is None or person not in people:
            continue
        own = person == performer
        name = f"{person}_by_{'own_' if own else performer + '_'}{take}"
        animations.append(AnimateTask(name=name, still=path, person=person, drive=plate, truth=path))
        if not own:
            swaps.append(SwapTask(name=path.stem, plate=plate, identity=person, truth=path))
    if not swaps and not animations:
        raise DatasetError(
            f"{folder} has no {FILE}, and no clips named like anton_r1.mp4 and anton_as_jun_r2.mp4 either; it is no suite."
        )
    return Suite(
        title=folder.name,
        folder=folder,
        people=people,
        swaps=tuple(swaps),
        animations=tuple(animations),
        regions=tuple(regions),
        units=tuple(units),
    )


def _checked(suite: Suite) -> Suite:
    from dataclasses import replace

    where = suite.folder / FILE
    files = [path for person in suite.people.values() for path in person.footage]
    for task in suite.swaps:
        files += [task.plate, task.truth]
    for task in suite.animations:
        files += [task.still, task.drive, task.truth]
    for task in (*suite.regions, *suite.units):
        files += [task.clip, task.truth]
    for path in files:
        pattern = Pattern.of(path)
        if not (path.is_file() if pattern is None else any(path.parent.glob(f"*{path.suffix}"))):
            raise DatasetError(f"{where} names {path}, which is not there.")
    learnt = {path.resolve() for person in suite.people.values() for path in person.footage}
    for task in suite.swaps:
        if task.truth.resolve() in learnt:
            raise DatasetError(
                f"{where}: {task.truth.name} is the answer of {task.name}; nobody may learn from it as footage."
            )
    needed = {task.identity for task in suite.swaps} | {task.person for task in suite.animations}
    needed |= {task.person for task in (*suite.regions, *suite.units)}
    if strangers := sorted(needed - set(suite.people)):
        raise DatasetError(f"{where}: {strangers[0]!r} is in a task and not among [people].")
    names = [task.name for task in (*suite.swaps, *suite.animations, *suite.regions, *suite.units)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DatasetError(f"{where}: two tasks are called {twice[0]}; give them names that differ.")
    for name in names:
        if not re.fullmatch(r"[\w.-]+", name) or name.startswith("."):
            raise DatasetError(f"{where}: {name!r} cannot be a task's name; letters, digits, _ and - can.")
    if not names:
        raise DatasetError(f"{where} asks for nothing; add a [[swap]], an [[animate]] or [[regions]].")
    asks = repr(
        [
            suite.title,
            [(task,) for task in (*suite.swaps, *suite.animations, *suite.regions, *suite.units)],
            sorted(suite.people),
        ]
    )
    return replace(suite, sha256=hashlib.sha256(asks.replace(str(suite.folder), "").encode()).hexdigest())


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
