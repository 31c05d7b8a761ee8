"""A command, made from a job and its options class: nothing that the class says is said again here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class Command:
    """What a file in ``cli/`` gives: which options class, which job, how to show the report to a person."""

    sentence: str
    """The first line of its help."""
    job: Callable[[], tuple[type, Callable[[Any, Progress], Any]]]
    """Imports and returns the job's options class, whose fields become the command's options, and the job itself."""
    show: Callable[[Any], str]
    """The report for a person: a few lines of text, rich markup allowed."""
    arguments: tuple[str, ...] = ()
    """Fields given by their place instead of by ``--name``."""
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Other names for a field's option, such as ``{"identity": ("--as",)}``."""
    hidden: tuple[str, ...] = ()
    """Fields that only the Python API sets."""
    example: str = ""
    """Lines of use, printed below the help."""
    again: str = "Give the same command again: it goes on where it was."
    """What to do after the command was stopped by a signal."""
    exit_code: Callable[[Any], int] = lambda report: 0
    """The exit code for a report; doctor says 1 where something is missing."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """A command that has commands: ``understudy weights list``."""

    sentence: str
    commands: Mapping[str, Command]
    usual: str = ""
    """The one of ``commands`` that is meant where none is named: ``understudy edit portrait.jpg``."""
