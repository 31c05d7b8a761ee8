"""Runs one command: parses, calls the job, prints the report, and turns errors and signals into sentences and exit
codes."""

from __future__ import annotations

import difflib
import importlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from understudy.cli.command import Command, Group
from understudy.cli.commands import BY_NAME
from understudy.errors import OptionError, UserError


class Stopped(KeyboardInterrupt):
    """SIGINT or SIGTERM came. A KeyboardInterrupt, so that jobs which tidy up after one do it for both."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def run(arguments: list[str]) -> int:
    """Run the command that ``arguments`` name and return the exit code."""
    wants_json = "--json" in arguments
    again = Command.again
    try:
        wish = _parse(_with_usual(arguments))
        if wish is None:
            return 0
        again = wish[0].again
        with _signals():
            return _do(*wish)
    except UserError as error:
        _report(error, type(error).__name__, wants_json)
        return error.exit_code
    except KeyboardInterrupt as error:
        number = error.number if isinstance(error, Stopped) else signal.SIGINT
        _report(f"Stopped by {signal.Signals(number).name}. {again}", "Stopped", wants_json)
        return 128 + number
    except BrokenPipeError:
        # The reader of our output went away (`understudy weights list | head`): nothing is left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if wants_json:
            _print_json({"error": {"kind": type(error).__name__, "message": str(error)}})
        raise


def _with_usual(arguments: list[str]) -> list[str]:
    """The arguments with a group's usual command put in where none is named."""
    command = load(arguments[0])
    if not isinstance(command, Group) or not command.usual or len(arguments) < 2:
        return arguments
    if arguments[1] in (*command.commands, "--help"):
        return arguments
    return [arguments[0], command.usual, *arguments[1:]]


def load(name: str) -> Command | Group:
    """The command called ``name``, or an alias of that name.

    Raises:
        OptionError: there is none; the sentence offers the nearest.
    """
    if name not in BY_NAME:
        near = difflib.get_close_matches(name, BY_NAME, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "`understudy --help` lists them."
        raise OptionError(f"There is no command {name!r}; {hint}")
    return importlib.import_module(f"understudy.cli.{BY_NAME[name].module}").COMMAND


Wish = tuple[Command, Any, bool]
"""A parsed command line: the command, its options, and whether JSON is wanted."""


def application(names: list[str] | None, keep: Callable[[Command, Any, bool], None]) -> Any:
    """A typer application with the commands called ``names`` (None: all of them); what it parses goes to ``keep``."""
    import typer

    from understudy.cli.options import callback

    settings: dict[str, Any] = {"add_completion": False, "no_args_is_help": True}
    app = typer.Typer(name="understudy", **settings)
    app.callback()(lambda: None)  # keeps the command's name in the usage line even where there is only one
    for name in BY_NAME if names is None else names:
        command = load(name)
        alias = name != BY_NAME[name].name
        if isinstance(command, Group):
            inner = typer.Typer(name=name, help=command.sentence, **settings)
            inner.callback()(lambda: None)
            for verb, member in command.commands.items():
                inner.command(verb)(callback(member, keep))
            app.add_typer(inner, name=name, hidden=alias)
        else:
            app.command(name, hidden=alias)(callback(command, keep))
    return app


def _parse(arguments: list[str]) -> Wish | None:
    """What the command line wishes; None where it wished for help, and had it.

    Raises:
        OptionError: it cannot be understood.
    """
    import typer

    wishes: list[Wish] = []
    parser = typer.main.get_command(application(arguments[:1], lambda *wish: wishes.append(wish)))
    try:
        parser.main(args=arguments, prog_name="understudy", standalone_mode=False)
    except typer.Exit:
        pass
    except Exception as error:
        # typer's own errors (an unknown option, a value of the wrong type) all know how to say themselves.
        sentence = getattr(error, "format_message", None)
        if sentence is None:
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            sys.stdout.write(f"{error}\n" if str(error) else "")
            return None
        verbs = [BY_NAME[arguments[0]].name]
        command = load(verbs[0])
        if isinstance(command, Group) and len(arguments) > 1 and arguments[1] in command.commands:
            verbs.append(arguments[1])
        usage = f"understudy {' '.join(verbs)} --help"
        raise OptionError(f"{str(sentence()).rstrip('.')}. See `{usage}`.") from None
    return wishes[0] if wishes else None


def _do(command: Command, options: Any, wants_json: bool) -> int:
    """Do the job, print its report, and return the exit code."""
    from understudy.cli.progress import show_progress

    _, job = command.job()
    with show_progress() as progress:
        report = job(options, progress)
    if wants_json:
        from understudy.provenance.record import plain

        _print_json(plain(report))
    else:
        _print_text(command.show(report))
    sys.stdout.flush()
    stopped_by = getattr(report, "stopped_by", "")
    if stopped_by in ("SIGINT", "SIGTERM"):  # the job finished its step, saved everything and told us why
        sys.stderr.write(f"Stopped by {stopped_by}. {command.again}\n")
        return 128 + signal.Signals[stopped_by]
    return command.exit_code(report)


def _print_json(value: Any) -> None:
    text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _finite(value: Any) -> Any:
    """JSON knows no infinity and no NaN: they become null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


def _print_text(text: str) -> None:
    if not text:
        return
    from rich.console import Console

    class Plainly(Console):
        def on_broken_pipe(self) -> None:
            raise  # rich would exit with 1; whoever reads us may well stop early

    Plainly(highlight=False, soft_wrap=True).print(text)


def _report(message: object, kind: str, wants_json: bool) -> None:
    sys.stderr.write(f"{message}\n")
    if wants_json:
        _print_json({"error": {"kind": kind, "message": str(message)}})


@contextmanager
def _signals() -> Iterator[None]:
    """Both signals raise :class:`Stopped` at first; a second one ends the process at once."""

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise Stopped(number)

    before = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, stop)
    except ValueError:
        pass  # not the main thread: whoever called from there keeps the signals
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
