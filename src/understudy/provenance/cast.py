"""The cast of a project and everyone's consent: ``cast.toml``, written by us, edited by people, read strictly."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from understudy.errors import ConsentError, OptionError
from understudy.provenance.atomic import write_text

SCOPES = ("train", "render", "publish")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_KEYS = ("granted_by", "scope", "until", "synthetic", "document", "identity")

_HEADER = """\
# The cast: every identity of this project, and the consent that lets us work with that face.
# Edit this file freely; comments stay. Training and rendering refuse an identity without a valid record.
#
#   [identities.anna]
#   granted_by = "Anna Example"               # who gave the consent: the performer, an estate, a guardian
#   scope = ["train", "render"]               # of "train" (gather and train), "render" (swap, edit, animate), "publish"
#   until = 2027-12-31                        # the last day on which it holds; leave the line out if it has no end
#   document = "contracts/anna.pdf"           # where the signed paper lies (optional)
#
#   [identities.robin]
#   synthetic = true                          # an invented face: nobody needs to be asked
"""


def identity_name(name: str) -> str:
    """Return ``name`` if it can name an identity (and so a folder and a TOML key), else raise :class:`OptionError`."""
    if not _NAME.fullmatch(name):
        raise OptionError(
            f"{name!r} cannot name an identity: use 1 to 64 letters, digits, '-' and '_', beginning with a letter or "
            "digit."
        )
    return name


def nearest_names(name: str, names: Iterable[str], count: int = 3) -> list[str]:
    """The names most like ``name``, best first, compared without regard to case."""
    folded = {known.casefold(): known for known in names}
    return [folded[match] for match in difflib.get_close_matches(name.casefold(), folded, n=count, cutoff=0.5)]


@dataclass(frozen=True, kw_only=True)
class Consent:
    """One identity's consent: who granted what, until when; or that the face is synthetic.

    ``scope`` holds words of :data:`SCOPES`; a synthetic face without a scope may be used for all of them.
    ``until`` is the last day on which the consent holds, None for no end. ``source`` is the file it was read from.
    """

    granted_by: str = ""
    scope: tuple[str, ...] = ()
    until: date | None = None
    synthetic: bool = False
    document: str | None = None
    source: str | None = None

    def require(self, identity: str, scope: str, *, today: date | None = None) -> Consent:
        """Return self if this consent lets us ``scope`` the ``identity`` today.

        Raises:
            ConsentError: nobody granted it, the scope is not in it, or it has ended.
        """
        if scope not in SCOPES:
            raise OptionError(f"{scope!r} is no scope of consent; the scopes are {_listed(SCOPES)}.")
        where = self.source or "the consent record"
        if not self.synthetic and not self.granted_by.strip():
            raise ConsentError(
                f"{where} does not say who granted consent for {identity!r}: fill in granted_by, or set "
                "synthetic = true if the face is invented."
            )
        granted = self.scope or (SCOPES if self.synthetic else ())
        if scope not in granted:
            found = f"only {_listed(granted)}" if granted else "nothing"
            raise ConsentError(
                f"{where} does not allow to {scope} {identity!r}: its scope holds {found}. "
                f'Ask for it, then add "{scope}" to scope.'
            )
        if self.until is not None and (today or date.today()) > self.until:
            raise ConsentError(
                f"The consent for {identity!r} in {where} ended on {self.until.isoformat()}: renew it, "
                "then change until."
            )
        return self

    def as_record(self) -> dict[str, Any]:
        """The consent as plain values for a run record."""
        return {
            "granted_by": self.granted_by,
            "scope": list(self.scope),
            "until": self.until.isoformat() if self.until else None,
            "synthetic": self.synthetic,
            "document": self.document,
        }


@dataclass(frozen=True, kw_only=True)
class Cast:
    """All identities of one ``cast.toml``, in the file's order."""

    path: Path
    identities: Mapping[str, Consent]

    @classmethod
    def load(cls, path: Path | str) -> Cast:
        """Read a ``cast.toml``.

        Raises:
            ConsentError: the file is missing, is not TOML, or holds a key or value that we do not know.
        """
        path = Path(path)
        data = _read_toml(path)
        unknown = [key for key in data if key not in ("identities", "project")]
        if unknown:
            raise ConsentError(
                f"{path} holds [{unknown[0]}], which has no meaning here: "
                f"identities are written as [identities.{unknown[0]}]."
            )
        tables = data.get("identities", {})
        if not isinstance(tables, dict):
            raise ConsentError(f"{path}: identities must be tables such as [identities.anna].")
        identities = {}
        for name, table in tables.items():
            try:
                identity_name(name)
            except OptionError as error:
                raise ConsentError(f"{path}: {error}") from error
            identities[name] = parse_consent(table, f"{path} [identities.{name}]")
        return cls(path=path, identities=identities)

    def find(self, identity: str) -> Consent:
        """The record of ``identity``, whatever it allows.

        Raises:
            ConsentError: the cast does not name it; the sentence offers the nearest names.
        """
        if identity in self.identities:
            return self.identities[identity]
        if not self.identities:
            raise ConsentError(
                f"{self.path} names nobody yet: add [identities.{identity}] with granted_by and scope, "
                "or synthetic = true."
            )
        near = nearest_names(identity, self.identities)
        meant = f"Did you mean {_listed(near, 'or')}? " if near else ""
        raise ConsentError(
            f"{self.path} names no identity {identity!r}. {meant}"
            f"The cast is {_listed(self.identities)}; add [identities.{identity}] if this is someone new."
        )

    def require(self, identity: str, scope: str, *, today: date | None = None) -> Consent:
        """The consent of ``identity``, checked for ``scope`` ("train", "render" or "publish") on the day ``today``.

        Raises:
            ConsentError: no such identity, no consent, not for this scope, or ended.
        """
        return self.find(identity).require(identity, scope, today=today)


def load_consent(path: Path | str, *, identity: str | None = None) -> Consent:
    """Read the consent record of ``--consent FILE``: one record's keys at the top of the file, or a whole cast.

    Of a cast, ``identity``'s record is taken (or the only one). A file that says ``identity = "anna"`` is hers alone.

    Raises:
        ConsentError: unreadable, unknown keys, or it belongs to somebody else.
    """
    path = Path(path)
    data = _read_toml(path)
    if "identities" in data:
        cast = Cast.load(path)
        if identity is None and len(cast.identities) == 1:
            return next(iter(cast.identities.values()))
        if identity is None:
            raise ConsentError(f"{path} holds {len(cast.identities)} identities; say which one is meant.")
        return cast.find(identity)
    owner = data.get("identity")
    if owner is not None and identity is not None and owner != identity:
        raise ConsentError(f"{path} is the consent of {owner!r}, not of {identity!r}.")
    return parse_consent(data, str(path))


def parse_consent(table: Any, source: str) -> Consent:
    """Check one record's keys and values strictly: a typo in a consent must not pass for a consent."""
    if not isinstance(table, dict):
        raise ConsentError(f"{source} must be a table with granted_by, scope and until, or synthetic = true.")
    for key in table:
        if key not in _KEYS:
            near = nearest_names(key, _KEYS, 1)
            meant = f"; did you mean {near[0]}?" if near else "."
            raise ConsentError(f"{source} holds {key!r}, which has no meaning{meant}")
    synthetic = table.get("synthetic", False)
    if not isinstance(synthetic, bool):
        raise ConsentError(f"{source}: synthetic must be true or false, not {synthetic!r}.")
    granted_by, document = table.get("granted_by", ""), table.get("document")
    if not isinstance(granted_by, str) or not isinstance(document, str | None):
        raise ConsentError(f"{source}: granted_by and document must be texts in quotes.")
    scope = table.get("scope", [])
    if isinstance(scope, str):
        scope = [scope]
    if not isinstance(scope, list) or not all(word in SCOPES for word in scope):
        raise ConsentError(f"{source}: scope must be a list of {_listed(SCOPES)}, not {scope!r}.")
    return Consent(
        granted_by=granted_by,
        scope=tuple(scope),
        until=_day(table.get("until"), source),
        synthetic=synthetic,
        document=document,
        source=source,
    )


def new_cast(path: Path | str, identities: Mapping[str, Consent | None] | None = None) -> Cast:
    """Write a fresh ``cast.toml`` with its explanation and one record per identity (None: to be filled in)."""
    text = _HEADER + "".join(_record_text(identity_name(name), consent) for name, consent in (identities or {}).items())
    write_text(path, text)
    return Cast.load(path)


def append_identity(path: Path | str, name: str, consent: Consent | None = None) -> Cast:
    """Add one record at the end of a ``cast.toml``; everything a person wrote in it stays as it is.

    Raises:
        ConsentError: the file cannot be read.
        OptionError: the name cannot be used, or is there already.
    """
    path = Path(path)
    cast = Cast.load(path)
    if name in cast.identities:
        raise OptionError(f"{path} names {name!r} already; edit its record there.")
    text = path.read_text(encoding="utf-8")
    write_text(path, text.rstrip("\n") + "\n" + _record_text(identity_name(name), consent))
    return Cast.load(path)


def _record_text(name: str, consent: Consent | None) -> str:
    if consent is None:
        return (
            f"\n[identities.{name}]\n"
            'granted_by = ""          # fill in, or write synthetic = true if the face is invented\n'
            'scope = []               # of "train", "render", "publish"\n'
        )
    lines = [f"\n[identities.{name}]"]
    if consent.synthetic:
        lines.append("synthetic = true")
    if consent.granted_by:
        lines.append(f"granted_by = {_quoted(consent.granted_by)}")
    if consent.scope:
        lines.append(f"scope = [{', '.join(_quoted(word) for word in consent.scope)}]")
    if consent.until:
        lines.append(f"until = {consent.until.isoformat()}")
    if consent.document:
        lines.append(f"document = {_quoted(consent.document)}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda match: f"\\u{ord(match[0]):04x}", escaped) + '"'


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise ConsentError(f"{path} does not exist: a project's cast and consents stand there.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConsentError(f"{path} cannot be read: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConsentError(f"{path} is not valid TOML: {error}.") from error


def _day(value: Any, source: str) -> date | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise ConsentError(f"{source}: until must be a day such as 2027-12-31, not {value!r}.") from error


def _listed(words: Iterable[str], joint: str = "and") -> str:
    words = [f"{word!r}" for word in words]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {joint} {words[-1]}"
