"""Foreign models on this machine: which there are, and fetching them when asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from understudy.provenance import weights

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class ListOptions:
    """Options of :func:`list_weights`."""

    commercial_only: bool = field(default=False, metadata={"help": "Only those whose licence allows commercial work."})


@dataclass(frozen=True, kw_only=True)
class ListedWeight:
    """One foreign model."""

    name: str
    file: str
    purpose: str
    licence: str
    commercial: bool
    sha256: str
    sources: tuple[str, ...]
    path: Path | None
    """Where it lies here; None where it does not."""
    intact: bool
    """The file's checksum is the table's."""


@dataclass(frozen=True, kw_only=True)
class ListReport:
    """The whole table, and where it is looked for."""

    weights: tuple[ListedWeight, ...]
    folders: tuple[Path, ...]
    """In the order in which they are searched."""


def list_weights(
    options: ListOptions | None = None, progress: Progress = lambda stage, done, total: None
) -> ListReport:
    """Every foreign model of the table with its licence, checksum and place on this machine; nothing is fetched."""
    options = options or ListOptions()
    rows = tuple(
        ListedWeight(
            name=row.weight.name,
            file=row.weight.file,
            purpose=row.weight.purpose,
            licence=row.weight.licence,
            commercial=row.weight.commercial,
            sha256=row.weight.sha256,
            sources=tuple(str(source) for source in row.weight.sources) or (row.weight.published,),
            path=row.path,
            intact=row.intact,
        )
        for row in weights.listing()
        if row.weight.commercial or not options.commercial_only
    )
    folders = (weights.models_folder(), weights.cache_folder())
    return ListReport(weights=rows, folders=tuple(folder for folder in folders if folder is not None))


@dataclass(frozen=True, kw_only=True)
class PullOptions:
    """Options of :func:`pull_weights`."""

    names: tuple[str, ...] = field(
        default=("faces",), metadata={"help": "Models to fetch; `faces` is all that faces need."}
    )
    commercial_only: bool = field(
        default=False, metadata={"help": "Refuse those whose licence excludes commercial work."}
    )


@dataclass(frozen=True, kw_only=True)
class PullReport:
    """What is at hand now."""

    paths: tuple[Path, ...]


def pull_weights(options: PullOptions, progress: Progress = lambda stage, done, total: None) -> PullReport:
    """Fetch models into the user's cache; what is at hand and intact is not fetched again.

    Raises:
        WeightsError: no source could be reached, a checksum is wrong, or a licence was refused.
        StorageError: the cache cannot be written.
    """
    paths: list[Path] = []
    for name in options.names or ("faces",):
        paths += _at_hand(name) or weights.pull(name, progress, commercial_only=options.commercial_only)
    return PullReport(paths=tuple(dict.fromkeys(paths)))


def _at_hand(name: str) -> list[Path] | None:
    """The files of a set of which any alternative is complete here; otherwise its first source would be asked each
    time."""
    intact = {row.weight.name: row.path for row in weights.listing() if row.path is not None and row.intact}
    for alternative in weights.GROUPS.get(name, ()):
        if all(member in intact for member in alternative):
            return [intact[member] for member in alternative]
    return None
