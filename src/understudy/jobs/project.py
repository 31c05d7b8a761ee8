"""A project: one folder with the cast, the footage, the faces, the runs and the renders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, overload

from understudy.errors import ConsentError, OptionError, storage_guard
from understudy.provenance.cast import Cast, Consent, append_identity, identity_name, load_consent, new_cast

CAST_FILE = "cast.toml"
FOLDERS = ("footage", "faces", "runs", "renders")


@dataclass(frozen=True)
class Project:
    """A project's places. ``root`` holds ``cast.toml``; everything else is found from there."""

    root: Path

    @property
    def cast_path(self) -> Path:
        """The file of identities and consents."""
        return self.root / CAST_FILE

    @property
    def cast(self) -> Cast:
        """The cast as it is written now: read anew each time, since people edit the file.

        Raises:
            ConsentError: the file cannot be understood.
        """
        return Cast.load(self.cast_path)

    @property
    def footage(self) -> Path:
        """Where clips may be kept."""
        return self.root / "footage"

    @property
    def runs(self) -> Path:
        """Training runs."""
        return self.root / "runs"

    @property
    def renders(self) -> Path:
        """Finished shots."""
        return self.root / "renders"

    @property
    def tracks(self) -> Path:
        """Cached face tracks of clips; may be deleted at any time."""
        return self.root / ".cache" / "tracks"

    def faces(self, identity: str) -> Path:
        """The face set's folder of ``identity`` (which need not exist yet)."""
        return self.root / "faces" / identity_name(identity)

    def gathered(self) -> list[str]:
        """Identities that have a face set, sorted."""
        return sorted(file.parent.name for file in (self.root / "faces").glob("*/face_set.sqlite"))


@overload
def find_project(start: Path | str | None = None, *, required: Literal[True] = True) -> Project: ...
@overload
def find_project(start: Path | str | None = None, *, required: bool) -> Project | None: ...
def find_project(start: Path | str | None = None, *, required: bool = True) -> Project | None:
    """The project that holds ``start`` (default: the current folder): the nearest folder upward with a ``cast.toml``.

    Raises:
        OptionError: there is none, and ``required``.
    """
    start = Path(start or ".").resolve()
    for folder in (start, *start.parents):
        if (folder / CAST_FILE).is_file():
            return Project(folder)
    if not required:
        return None
    raise OptionError(
        f"{start} is not inside a project (no {CAST_FILE} in it or above it): "
        "run 'understudy new NAME' first, or name one with --project."
    )


def new_project(path: Path | str, *, identities: Mapping[str, Consent | None] | Iterable[str] = ()) -> Project:
    """Make a project folder: ``cast.toml``, ``footage/``, ``faces/``, ``runs/``, ``renders/``.

    Args:
        path: the folder; it may exist, and what lies in it stays.
        identities: names, or names with their consent; those without one get a record to fill in.

    Raises:
        OptionError: there is a project already, or a name cannot be used.
        StorageError: full disk or no permission.
    """
    root = Path(path)
    if (root / CAST_FILE).exists():
        raise OptionError(f"{root} is a project already; add people to its {CAST_FILE}.")
    if root.exists() and not root.is_dir():
        raise OptionError(f"{root} is a file; choose another name for the project.")
    consents = dict(identities) if isinstance(identities, Mapping) else dict.fromkeys(identities)
    for name in consents:
        identity_name(name)
    with storage_guard(root):
        for folder in FOLDERS:
            (root / folder).mkdir(parents=True, exist_ok=True)
    new_cast(root / CAST_FILE, consents)  # last: a folder is a project once this file stands
    return Project(root.resolve())


def add_identity(project: Project, name: str, consent: Consent | None = None) -> Consent:
    """Add an identity to the cast, keeping everything else in the file, and return its record.

    Raises:
        OptionError: the name cannot be used or is taken.
    """
    return append_identity(project.cast_path, name, consent).identities[name]


def require_consent(
    identity: str, scope: str, *, project: Project | None, consent: Path | str | None = None
) -> Consent:
    """The consent to ``scope`` ("train", "render", "publish") an identity, from ``--consent FILE`` or the cast.

    Raises:
        ConsentError: none found, or not valid for this.
    """
    if consent is not None:
        return load_consent(consent, identity=identity).require(identity, scope)
    if project is None:
        raise ConsentError(
            f"There is no consent to {scope} {identity!r}: work inside a project whose {CAST_FILE} names it, "
            "or give --consent FILE."
        )
    return project.cast.require(identity, scope)
