"""The face parser that ``--parser`` means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from understudy.errors import OptionError
from understudy.perform.regions import open_parser

if TYPE_CHECKING:
    from understudy.family import Parser
    from understudy.jobs.project import Project

PUBLIC = "public"
"""The name of the public 19-class parser."""


def parser_path(name: str | None, project: Project | None) -> Path | None:
    """The checkpoint that a name means: a run's, a folder, a file, or :data:`PUBLIC`; None for the packaged parser.

    Raises:
        OptionError: nothing of that name is there.
        WeightsError: the public parser's file is not on this machine.
    """
    from understudy.jobs.train import resolve_checkpoint
    from understudy.provenance import weights

    if name is None:
        return None
    if name == PUBLIC:
        return weights.find("face-parsing")
    try:
        return resolve_checkpoint(name, project)
    except OptionError as error:
        raise OptionError(str(error).replace("--run", "--parser")) from error


def named_parser(name: str | None, project: Project | None, *, device: str = "auto") -> Parser:
    """The parser of that name, open.

    Raises:
        OptionError, WeightsError: as :func:`parser_path`.
        CheckpointError: it is no parser's.
    """
    return open_parser(parser_path(name, project), device=device)
