"""The house rules that a machine can hold: imports one way, no catch-all folders, light modules stay light, files stay small."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "understudy"
ROOT = PACKAGE.parents[1]
FILES = sorted(PACKAGE.rglob("*.py"))
OURS = [path for path in FILES if not path.name.startswith("test_")]

# What a command's --help or an options class may not cost: these load neither torch nor each other's weight.
LIGHT = (
    "understudy.cli.run",
    "understudy.errors",
    "understudy.family",
    "understudy.families",
    "understudy.families.comb",
    "understudy.families.regional_inversion",
    "understudy.jobs.animate",
    "understudy.jobs.options_animate",
    "understudy.jobs.options_gather",
    "understudy.jobs.options_regions",
    "understudy.jobs.options_review",
    "understudy.jobs.options_swap",
    "understudy.jobs.options_track",
    "understudy.jobs.benchmark",
    "understudy.jobs.compare",
    "understudy.jobs.options_benchmark",
    "understudy.jobs.options_compare",
    "understudy.jobs.curves",
    "understudy.jobs.options_curves",
    "understudy.jobs.demo",
    "understudy.jobs.doctor",
    "understudy.jobs.gather",
    "understudy.jobs.inspect",
    "understudy.jobs.measure",
    "understudy.jobs.measure_animation",
    "understudy.jobs.measure_regions",
    "understudy.jobs.regions",
    "understudy.jobs.shot",
    "understudy.jobs.train",
    "understudy.jobs.weights",
    "understudy.media.clip",
    "understudy.faces.align",
    "understudy.dataset.face_set",
    "understudy.provenance.weights",
)


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def test_imports_run_one_way():
    """The contracts in pyproject.toml, by import-linter."""
    linter = Path(sys.executable).with_name("lint-imports")
    if not linter.exists():
        pytest.skip("import-linter is not installed; `pip install -e .[dev]` brings it")
    found = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr


def test_nothing_is_called_utils():
    forbidden = {"utils", "util", "common", "misc", "helpers", "helper"}
    assert not [name_of(path) for path in FILES if forbidden & {*path.relative_to(PACKAGE).parts[:-1], path.stem}]


def test_light_modules_load_no_torch():
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    if 'torch' in sys.modules: sys.exit(name + ' imports torch')"
    )
    found = subprocess.run([sys.executable, "-c", code, *LIGHT], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("path", OURS, ids=name_of)
def test_files_stay_small_and_say_what_they_are(path):
    text = path.read_text()
    lines = text.count("\n")
    assert lines <= 600, f"{lines} lines: split it"
    tree = ast.parse(text)
    assert not tree.body or ast.get_docstring(tree), "no docstring"


@pytest.mark.parametrize("path", OURS, ids=name_of)
def test_public_functions_and_classes_have_docstrings(path):
    """A function of a single line may let its name speak."""
    missing = [
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
        and len(node.body) > 1
        and not any(ast.unparse(decorator) == "overload" for decorator in node.decorator_list)
    ]
    assert not missing, f"without a docstring: {', '.join(missing)}"


@pytest.mark.parametrize("path", OURS, ids=name_of)
def test_only_the_command_line_prints(path):
    if path.is_relative_to(PACKAGE / "cli"):
        return
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    printed = [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]
    assert not printed


@pytest.mark.parametrize("path", OURS, ids=name_of)
def test_nothing_stored_can_run(path):
    """No pickle, no torch.load that would run one, no eval."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            assert not {"pickle", "dill", "joblib", "cloudpickle"} & set(names), f"line {node.lineno}"
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            assert called not in ("eval", "exec") or isinstance(node.func, ast.Attribute), f"line {node.lineno}"
            if called == "load" and ast.unparse(node.func) == "torch.load":
                assert any(keyword.arg == "weights_only" for keyword in node.keywords), f"line {node.lineno}"
