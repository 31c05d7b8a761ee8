"""The command line as a user meets it: help, options, output, errors, signals. Jobs are stand-ins."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Literal

import pytest

from understudy.cli import main
from understudy.cli.command import Command, Group
from understudy.cli.commands import BY_NAME, ENTRIES
from understudy.cli.options import _leaves, build, field_help, parameters
from understudy.cli.run import load
from understudy.errors import InternalError, MediaError, UserError


class Mode(StrEnum):
    SOFT = "soft"
    HARD = "hard"


@dataclass(frozen=True, kw_only=True)
class Inner:
    softness: float = 1.5
    """How soft."""
    limits: tuple[float, float] = (0.5, 2.0)
    """Least and
    most."""


@dataclass(frozen=True, kw_only=True)
class Options:
    plate: Path = field(metadata={"help": "The plate."})
    names: tuple[str, ...] = field(default=(), metadata={"help": "Some names."})
    from_: str | None = field(default=None, metadata={"help": "Where from."})
    count: int | None = field(default=None, metadata={"help": "How many."})
    mode: Mode = field(default=Mode.SOFT, metadata={"help": "How."})
    tiles: Literal["auto", "none"] = field(default="auto", metadata={"help": "Tiles."})
    quick: bool = field(default=False, metadata={"help": "Quickly."})
    steady: bool = field(default=True, metadata={"help": "Steadily."})
    callback: object = field(default=None, metadata={"help": "Only for Python."})
    inner: Inner = field(default_factory=Inner)


@dataclass(frozen=True, kw_only=True)
class Report:
    answer: float
    path: Path
    stopped_by: str = ""


@pytest.fixture
def install(monkeypatch):
    """Put a stand-in for the job of ``understudy swap``, and return what it was given."""

    def put(job=None, **changes) -> list:
        given = []

        def remember(options, progress):
            given.append(options)
            progress("stage one", 1, 2)
            return job(options, progress) if job else Report(answer=float("nan"), path=Path("a [1].png"))

        command = Command(
            sentence="Stand-in.",
            job=lambda: (Options, remember),
            show=lambda report: f"answer {report.answer}",
            arguments=("plate",),
            flags={"names": ("--name", "-n")},
        )
        monkeypatch.setattr("understudy.cli.swap.COMMAND", replace(command, **changes))
        return given

    return put


def test_help_imports_nothing_that_takes_time():
    code = (
        "import sys; from understudy.cli import main; main(['--help']);"
        "heavy = {'torch', 'numpy', 'cv2', 'typer', 'rich', 'dataclasses', 'typing', 'pathlib'} & set(sys.modules);"
        "sys.exit(' '.join(heavy) or 0)"
    )
    found = subprocess.run([sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
                           capture_output=True, text=True)  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert all(entry.name in found.stdout and entry.sentence in found.stdout for entry in ENTRIES)


def test_no_commands_help_loads_torch():
    code = (
        "import sys; from understudy.cli import main; from understudy.cli.commands import BY_NAME;"
        "[main([name, '--help']) for name in BY_NAME];"
        "[main([a, b, '--help']) for a, b in (('weights', 'pull'), ('inspect', 'interpolate'))];"
        "sys.exit('torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert "--json" in found.stdout


def test_words_alone_print_the_overview(capsys):
    for words in ([], ["--help"], ["-h"], ["help"]):
        assert main(words) == 0
        assert "understudy COMMAND" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("understudy ")


def test_every_entry_has_its_command_and_the_old_names_work():
    for entry in ENTRIES:
        assert isinstance(load(entry.name), Command | Group)
    for alias, name in {"extract": "gather", "merge": "swap", "convert": "swap"}.items():
        assert load(alias) is load(name)
        assert BY_NAME[alias].name == name


def every_command() -> list[tuple[str, Command]]:
    found = []
    for entry in ENTRIES:
        command = load(entry.name)
        if isinstance(command, Group):
            found += [(f"{entry.name} {verb}", member) for verb, member in command.commands.items()]
        else:
            found.append((entry.name, command))
    return found


@pytest.mark.parametrize(
    ("name", "command"), every_command(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_options_come_whole_from_the_jobs_own_class(name, command):
    """Every field is an option with help of its own, or declared hidden; nothing is offered that the class does not have."""
    options, _ = command.job()
    offered = {parameter.name for parameter in parameters(command)}
    fields = {field.name: owner for owner, field, _ in _leaves(options)}
    assert offered | set(command.hidden) == set(fields), f"{name}: a field of a type that a command line cannot give"
    for field_name in offered:
        assert field_help(fields[field_name], field_name), f"{name}: {field_name} says nothing about itself"


def test_values_arrive_as_the_class_declares_them(install):
    given = install()
    words = [
        "swap",
        "plate.mov",
        "-n",
        "a",
        "--name",
        "b",
        "--from",
        "base",
        "--count",
        "3",
        "--mode",
        "hard",
        "--quick",
    ]
    words += ["--no-steady", "--tiles", "none", "--softness", "2", "--limits", "0.1", "0.9"]
    assert main(words) == 0
    assert given == [
        Options(
            plate=Path("plate.mov"),
            names=("a", "b"),
            from_="base",
            count=3,
            mode=Mode.HARD,
            tiles="none",
            quick=True,
            steady=False,
            inner=Inner(softness=2.0, limits=(0.1, 0.9)),
        )
    ]


def test_defaults_are_the_classs(install):
    given = install()
    assert main(["swap", "plate.mov"]) == 0
    assert given == [Options(plate=Path("plate.mov"))]


def test_help_texts_come_from_metadata_or_the_string_below():
    assert field_help(Options, "plate") == "The plate."
    assert field_help(Inner, "limits") == "Least and most."


def test_a_field_that_cannot_be_given_needs_a_default():
    @dataclass(frozen=True, kw_only=True)
    class Bad:
        thing: object

    with pytest.raises(InternalError, match="thing"):
        parameters(Command(sentence="", job=lambda: (Bad, lambda *_: None), show=str))


def test_a_command_that_names_a_missing_field_is_our_bug(install):
    install(arguments=("plat",))
    with pytest.raises(InternalError, match="plat"):
        main(["swap", "x"])


def test_nested_options_take_only_their_own(install):
    assert build(Options, {"plate": Path("p"), "softness": 3.0}).inner == Inner(softness=3.0)


def test_text_goes_to_standard_output_and_progress_to_standard_error(install, capsys):
    install()
    assert main(["swap", "plate.mov"]) == 0
    out, err = capsys.readouterr()
    assert out == "answer nan\n"
    assert "stage one" in err


def test_json_is_one_object_with_no_nan(install, capsys):
    install()
    assert main(["swap", "plate.mov", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {"answer": None, "path": "a [1].png", "stopped_by": ""}
    assert out.count("\n") == 1
    assert "stage one" in err


def refuse(options, progress):
    raise MediaError("plate.mov is empty; give another.")


def test_a_users_error_is_one_sentence_and_exit_code_2(install, capsys):
    install(refuse)
    assert main(["swap", "plate.mov"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1] == "plate.mov is empty; give another."
    assert "Traceback" not in err


def test_a_users_error_as_json(install, capsys):
    install(refuse)
    assert main(["swap", "plate.mov", "--json"]) == 2
    assert json.loads(capsys.readouterr().out) == {
        "error": {"kind": "MediaError", "message": "plate.mov is empty; give another."}
    }


def test_our_own_error_keeps_its_traceback(install, capsys):
    install(lambda options, progress: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["swap", "plate.mov", "--json"])
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "ZeroDivisionError"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["wieghts"], "did you mean 'weights'?"),
        (["swap"], "Missing argument 'plate'. See `understudy swap --help`."),
        (["swap", "p", "--cuont", "1"], "--count"),
        (["swap", "p", "--count", "many"], "--count"),
        (["swap", "p", "--mode", "odd"], "--mode"),
        (["merge", "p", "--count", "many"], "understudy swap --help"),
        (["weights", "lst"], "lst"),
        (["inspect", "regions", "heldback", "--odd"], "See `understudy inspect regions --help`."),
    ],
)
def test_a_mistyped_command_line_is_a_sentence_too(install, capsys, words, sentence):
    install()
    assert main(words) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1


def test_a_group_without_a_verb_shows_its_help(capsys):
    assert main(["weights"]) == 0
    assert "pull" in capsys.readouterr().out


def test_a_report_may_set_the_exit_code(install):
    install(exit_code=lambda report: 1)
    assert main(["swap", "plate.mov"]) == 1


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_job_that_stopped_itself_on_a_signal_says_how_to_go_on(install, capsys, name, code):
    install(lambda options, progress: Report(answer=1.0, path=Path(), stopped_by=name), again="Once more, please.")
    assert main(["swap", "plate.mov"]) == code
    assert capsys.readouterr().err.splitlines()[-1] == f"Stopped by {name}. Once more, please."


_SLEEPER = """
import sys, time
from dataclasses import replace
import understudy.cli.doctor as doctor
from understudy.cli import main
from understudy.jobs.doctor import DoctorOptions

def sleep(options, progress):
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("tidied", flush=True)

doctor.COMMAND = replace(doctor.COMMAND, job=lambda: (DoctorOptions, sleep))
sys.exit(main(["doctor"]))
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_cleanly_with_a_sentence(number, code):
    process = subprocess.Popen(
        [sys.executable, "-c", _SLEEPER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert out == "tidied\n"
    assert f"Stopped by {number.name}. Give the same command again" in err
    assert "Traceback" not in err


def test_a_reader_that_goes_away_is_no_error():
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; from understudy.cli import main; sys.exit(main(['weights', 'list']))"],
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(reading)
    os.close(writing)
    _, err = process.communicate(timeout=30)
    assert b"Traceback" not in err
    assert process.returncode == 0


def test_a_log_gets_lines_and_not_bars(capsys):
    from understudy.cli.progress import Log

    with Log(sys.stderr) as log:
        for done in range(100):
            log("track", done + 1, 100)
        log("write", 0, None)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "track ..."
    assert lines[1].startswith("track 100/100 (")
    assert lines[2:3] == ["write ..."]
    assert len(lines) == 4


def test_bars_take_stages_in_any_order():
    from understudy.cli.progress import Bars

    with Bars() as bars:
        for stage, done, total in (("a", 0, None), ("a", 5, None), ("b", 1, 2), ("a", 6, None), ("b", 2, 2)):
            bars(stage, done, total)
        tasks = {task.description: (task.completed, task.total) for task in bars.bars.tasks}
    assert tasks == {"a": (6, 6), "b": (2, 2)}


def test_user_errors_are_the_whole_tree():
    """Whatever a job raises for the user, the command line knows it by one class."""
    from understudy import errors

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, UserError)]
    assert len(kinds) >= 9
    assert all(kind("x").exit_code == 2 for kind in kinds)


def test_started_by_hand_it_takes_about_as_long_as_python():
    """Not a benchmark: only that --help does not start something large (typer alone triples the time)."""

    def best(arguments: list[str]) -> float:
        found = []
        for _ in range(5):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", *arguments], capture_output=True, check=True)
            found.append(time.perf_counter() - began)
        return min(found)

    plain = best(["pass"])
    helped = best(["import sys; from understudy.cli import main; sys.exit(main(['--help']))"])
    assert helped < plain * 2.5 + 0.02
