"""The public names: they load, they are documented, and none comes or goes unnoticed."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import understudy

STORED = Path(__file__).with_name("public_names.txt")


def test_the_names_are_the_stored_ones():
    """To change them on purpose, change public_names.txt in the same commit."""
    assert understudy.__all__ == sorted(understudy.__all__)
    assert understudy.__all__ == STORED.read_text().split()


@pytest.mark.parametrize("name", understudy.__all__)
def test_every_name_loads_and_says_what_it_is(name):
    value = getattr(understudy, name)
    assert value.__name__ == name
    assert inspect.getdoc(value), f"{name} has no docstring"
    assert name in dir(understudy)


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'swap_everything'"):
        _ = understudy.swap_everything


def test_type_checkers_see_the_names_that_there_are():
    tree = ast.parse(Path(understudy.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    shown = {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    }
    assert shown == {name: f"understudy.{home}" for name, home in understudy._HOME_OF.items()}


def test_importing_the_package_imports_nothing_else():
    code = "import sys; before = set(sys.modules); import understudy; print(*sorted(set(sys.modules) - before))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(found.stdout.split()) <= {"__future__", "understudy"}
