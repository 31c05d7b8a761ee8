"""From an options dataclass to a command's parameters, and from parsed values back to the dataclass."""

from __future__ import annotations

import ast
import builtins
import dataclasses
import inspect
import sys
import textwrap
import types
from collections.abc import Callable, Sequence
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer

from understudy.cli.command import Command
from understudy.errors import InternalError

_PLAIN = (str, int, float, bool, Path)


def parameters(command: Command) -> list[inspect.Parameter]:
    """The parameters that typer reads: arguments first, in the command's order, then one option per field."""
    options, _ = command.job()
    made = {}
    for owner, field, panel in _leaves(options):
        name = field.name
        if name in command.hidden or (kind := _typer_type(_hints(owner)[name])) is None:
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                raise InternalError(f"{owner.__name__}.{name} has no default, and a command line cannot give it")
            continue
        if name in made:
            raise InternalError(f"{options.__name__} has two fields called {name}")
        made[name] = _parameter(command, owner, field, kind, panel)
    unknown = ({*command.arguments, *command.flags} - set(made)) | (set(command.hidden) - _names(options))
    if unknown:
        raise InternalError(f"{options.__name__} has no field {', '.join(sorted(unknown))}")
    order = {name: place for place, name in enumerate(command.arguments)}
    return [made[name] for name in sorted(made, key=lambda name: order.get(name, len(order)))]


def build(options: type, values: dict[str, Any]) -> Any:
    """The options object from parsed values; nested options classes take the values of their own fields."""
    hints = _hints(options)
    given = {}
    for field in dataclasses.fields(options):
        if not field.init:
            continue
        if nested := _nested(hints[field.name]):
            given[field.name] = build(nested, values)
        elif (value := values.get(field.name)) is not None:  # what was not given keeps the class's own default
            given[field.name] = tuple(value) if isinstance(value, list) else value
    return options(**given)


def field_help(owner: type, name: str) -> str:
    """A field's help: its ``metadata["help"]``, else the string under it in the class body."""
    field = next(field for field in dataclasses.fields(owner) if field.name == name)
    return str(field.metadata.get("help") or _strings_under_fields(owner).get(name, ""))


def _leaves(options: type, panel: str | None = None) -> list[tuple[type, dataclasses.Field, str | None]]:
    """Every field with its owner and help panel; a field that is an options class itself is replaced by that one's fields."""
    leaves = []
    for field in dataclasses.fields(options):
        if nested := _nested(_hints(options)[field.name]):
            leaves += _leaves(nested, f"Options: {field.name}")
        elif field.init:
            leaves.append((options, field, panel))
    return leaves


def _names(options: type) -> set[str]:
    return {field.name for _, field, _ in _leaves(options)}


def _parameter(
    command: Command, owner: type, field: dataclasses.Field, kind: Any, panel: str | None
) -> inspect.Parameter:
    name = field.name
    has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
    default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    if isinstance(default, tuple):
        default = list(default) or None
    text = field_help(owner, name)
    if name in command.arguments:
        info = typer.Argument(help=text)
    else:
        word = name.rstrip("_").replace("_", "-")  # `from_` is --from
        own = f"--{word}/--no-{word}" if kind is bool and default is not False else f"--{word}"
        # Where an answer goes is said the same way everywhere.
        usual = (own, "-o") if name == "output" else (own,)
        info = typer.Option(*command.flags.get(name, usual), help=text, rich_help_panel=panel)
    annotation = Annotated[kind if not has_default or default is not None else kind | None, info]
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default if has_default else inspect.Parameter.empty,
        annotation=annotation,
    )


def _typer_type(hint: Any) -> Any:
    """The type that typer is to parse, without its None; None where a command line cannot give such a value."""
    origin, members = get_origin(hint), [member for member in get_args(hint) if member is not type(None)]
    if origin in (Union, types.UnionType):
        kinds = [_typer_type(member) for member in members]
        return kinds[0] if len(kinds) == 1 else str if str in kinds else Path if Path in kinds else None
    if origin is Literal:
        return hint
    if origin in (list, tuple, Sequence) or (inspect.isclass(origin) and issubclass(origin, Sequence)):
        members = [member for member in members if member is not Ellipsis]
        if origin is tuple and Ellipsis not in get_args(hint):
            return hint if all(member in _PLAIN for member in members) else None
        return list[members[0]] if members and _typer_type(members[0]) is members[0] else None
    if inspect.isclass(hint) and (hint in _PLAIN or issubclass(hint, Enum)):
        return hint
    return None


def _nested(hint: Any) -> type | None:
    return hint if inspect.isclass(hint) and dataclasses.is_dataclass(hint) else None


@cache
def _hints(owner: type) -> dict[str, Any]:
    # Names imported for type checkers only are of no use on a command line; they are taken for opaque.
    names = {
        name: value for base in reversed(owner.__mro__) for name, value in vars(sys.modules[base.__module__]).items()
    }
    return get_type_hints(owner, globalns=names, localns=_Forgiving(names))


class _Forgiving(dict):
    def __missing__(self, name: str) -> Any:
        return getattr(builtins, name, object)


@cache
def _strings_under_fields(owner: type) -> dict[str, str]:
    """The string that stands under each field in the source, joined to one line."""
    found = {}
    for base in reversed(owner.__mro__[:-1]):
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        except (OSError, TypeError):
            continue
        body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        for field, below in zip(body, body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
                value = below.value
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    found[field.target.id] = " ".join(value.value.split())
    return found


def callback(command: Command, keep: Callable[[Command, Any, bool], None]) -> Callable[..., None]:
    """The function that typer calls: it builds the options and hands them to ``keep`` with the wish for JSON."""

    def called(**values: Any) -> None:
        json = values.pop("json")
        options, _ = command.job()
        keep(command, build(options, values), json)

    wish = inspect.Parameter(
        "json",
        inspect.Parameter.KEYWORD_ONLY,
        default=False,
        annotation=Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")],
    )
    made = [*parameters(command), wish]
    called.__signature__ = inspect.Signature(made)  # pyright: ignore[reportFunctionMemberAccess]
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in made}
    called.__doc__ = command.sentence + (f"\n\n{command.example}" if command.example else "")
    return called
