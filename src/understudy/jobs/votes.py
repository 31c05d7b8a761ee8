"""Votes on pairs of clips: a file of them, one JSON object a line, and what they say together."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from understudy.errors import MediaError, storage_guard
from understudy.metrics.fool_rate import FoolRate, fool_rate
from understudy.metrics.true_skill import Rating, rate

Choice = Literal["left", "right", "draw"]
CHOICES: tuple[Choice, ...] = ("left", "right", "draw")


@dataclass(frozen=True, kw_only=True)
class Vote:
    """One person's answer to one pair.

    ``real`` are those of the two that are real footage; with any, the question was which one is real.
    """

    left: str
    right: str
    choice: Choice
    real: tuple[str, ...] = ()
    question: str = ""
    voter: str = ""
    time: str = ""
    """When, ISO 8601 in UTC."""
    seconds: float = 0.0
    """How long the pair was looked at."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Name -> sha256 of the clip that was shown."""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """What the votes say of one clip, or of all clips of that name."""

    name: str
    rating: Rating
    sure: float
    """``mu - 3 sigma``: by this the contenders are ordered."""
    votes: int
    won: int
    drawn: int
    real: bool
    """It is real footage in every vote."""
    fooled: FoolRate | None
    """How often it was taken for the real one beside it; None for real footage, and where nobody was asked."""


@dataclass(frozen=True, kw_only=True)
class VotesReport:
    """A file of votes, counted."""

    file: Path
    votes: int
    voters: int
    contenders: tuple[Contender, ...]
    """The best first."""
    fooled: FoolRate | None
    """Over all contenders that are not real."""
    torn: tuple[int, ...]
    """Lines that are no JSON, such as one that a crash cut short; they were left out."""


def append_vote(path: Path, vote: Vote) -> None:
    """Add a vote to a file; it is on the disk when this returns.

    Raises:
        StorageError: full disk or no permission.
    """
    line = json.dumps(_plain(vote), ensure_ascii=False) + "\n"
    with storage_guard(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            if file.tell() and _last_byte(path) != b"\n":
                line = "\n" + line  # a line that a crash cut short must not swallow this one
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())


def read_votes(path: Path) -> tuple[list[Vote], tuple[int, ...]]:
    """The votes of a file in their order, and the numbers of lines that are no JSON, as a crash leaves one.

    Raises:
        MediaError: the file cannot be read, or a line of it is something else than a vote.
    """
    try:
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MediaError(f"{path} cannot be read as a file of votes: {reason}.") from error
    votes: list[Vote] = []
    torn: list[int] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            votes.append(_vote(json.loads(line)))
        except json.JSONDecodeError:
            torn.append(number)
        except (ValueError, TypeError, KeyError) as error:
            raise MediaError(
                f"{path}, line {number} is no vote ({error}); it needs left, right, and choice (left, right or draw). "
                "Mend or delete that line."
            ) from error
    return votes, tuple(torn)


def count_votes(path: Path) -> VotesReport:
    """Ratings and fool rates from a file of votes. The votes are taken in their order, each as a match of two.

    Raises:
        MediaError: the file cannot be read, a line of it is no vote, or there is none.
    """
    votes, torn = read_votes(path)
    if not votes:
        raise MediaError(
            f"{path} holds no votes yet; collect some with 'understudy compare A B --vote --votes {path}'."
        )
    contenders = rank(votes)
    fakes = [contender.fooled for contender in contenders if contender.fooled is not None]
    everyone = None
    if fakes:
        everyone = fool_rate(sum(one.rate * one.trials for one in fakes), sum(one.trials for one in fakes))
    return VotesReport(
        file=path,
        votes=len(votes),
        voters=len({vote.voter for vote in votes}),
        contenders=contenders,
        fooled=everyone,
        torn=torn,
    )


def rank(votes: Iterable[Vote]) -> tuple[Contender, ...]:
    """Every name in the votes with its rating and fool rate, the best first."""
    ratings: dict[str, Rating] = {}
    tallies: dict[str, dict[str, float]] = {}
    always_real: dict[str, bool] = {}
    for vote in votes:
        names = (vote.left, vote.right)
        before = [ratings.get(name, Rating()) for name in names]
        places = {"left": [1, 2], "right": [2, 1], "draw": [1, 1]}[vote.choice]
        ratings.update(zip(names, rate(before, places), strict=True))
        chosen = {"left": vote.left, "right": vote.right}.get(vote.choice)
        for name in names:
            tally = tallies.setdefault(name, dict.fromkeys(("votes", "won", "drawn", "trials", "fooled"), 0))
            tally["votes"] += 1
            tally["won"] += chosen == name
            tally["drawn"] += chosen is None
            always_real[name] = always_real.get(name, True) and name in vote.real
            # Only beside something real can something generated be taken for it.
            if len(vote.real) == 1 and name not in vote.real:
                tally["trials"] += 1
                tally["fooled"] += 0.5 if chosen is None else chosen == name
    found = [
        Contender(
            name=name,
            rating=rating,
            sure=rating.sure,
            votes=int(tallies[name]["votes"]),
            won=int(tallies[name]["won"]),
            drawn=int(tallies[name]["drawn"]),
            real=always_real[name],
            fooled=fool_rate(tallies[name]["fooled"], int(tallies[name]["trials"]))
            if tallies[name]["trials"]
            else None,
        )
        for name, rating in ratings.items()
    ]
    return tuple(sorted(found, key=lambda contender: -contender.sure))


def _vote(values: Any) -> Vote:
    if not isinstance(values, dict):
        raise TypeError("not a JSON object")
    left, right, choice = (values[name] for name in ("left", "right", "choice"))
    if choice not in CHOICES:
        raise ValueError(f"choice is {choice!r}")
    if not isinstance(left, str) or not isinstance(right, str) or left == right:
        raise ValueError("left and right must be two names")
    real = values.get("real", [])
    if not isinstance(real, list) or not set(real) <= {left, right}:
        raise ValueError("real must list left or right")
    known = {name: values[name] for name in ("question", "voter", "time", "seconds", "files") if name in values}
    return Vote(left=left, right=right, choice=choice, real=tuple(real), **known)


def _plain(vote: Vote) -> dict[str, Any]:
    from understudy.provenance.record import plain

    return {name: value for name, value in plain(vote).items() if value or name in ("left", "right", "choice")}


def _last_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1)
