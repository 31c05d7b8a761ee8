"""The systems. Every folder here that holds an ``__init__.py`` with a ``FAMILY`` is one; there is no list to keep."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path

from understudy.errors import OptionError
from understudy.family import Family


@cache
def names() -> tuple[str, ...]:
    """The families found in this folder."""
    here = Path(__file__).parent
    return tuple(sorted(path.parent.name for path in here.glob("*/__init__.py")))


@cache
def get(name: str) -> Family:
    """The family called ``name``.

    Raises:
        OptionError: there is none.
    """
    if name not in names():
        raise OptionError(f"family {name} does not exist; there are {', '.join(names())}.")
    return importlib.import_module(f"{__name__}.{name}").FAMILY
