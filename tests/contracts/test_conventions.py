"""The conventions that no other test holds, and that the page of conventions names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "understudy"
PAGES = sorted((ROOT / "docs").glob("*.md")) + [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]


def test_every_test_that_the_page_names_exists():
    named = re.findall(r"`((?:tests|src)/[\w/.]+\.py)::(\w+)`", (ROOT / "docs" / "conventions.md").read_text())
    assert len(named) > 20
    missing = [f"{path}::{test}" for path, test in named if not defines(ROOT / path, test)]
    assert not missing


def defines(path: Path, test: str) -> bool:
    return path.exists() and re.search(rf"^\s*def {test}\(", path.read_text(), re.MULTILINE) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert "://" in target or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_the_pages_are_commands_with_those_options(page):
    """Every ``understudy COMMAND --option`` on a page names a command and options that there are."""
    from understudy.cli.command import Group
    from understudy.cli.commands import BY_NAME
    from understudy.cli.options import parameters
    from understudy.cli.run import load

    for words in re.findall(r"understudy ([a-z]+[^`#\n|]*)", page.read_text()):
        name, *rest = words.split()
        if not re.fullmatch(r"[a-z]+", name) or name not in BY_NAME:
            assert not re.search(rf"^ {{4}}understudy {name}\b", page.read_text(), re.MULTILINE), f"no command {name}"
            continue
        command = load(name)
        if isinstance(command, Group):
            if not rest or rest[0] not in command.commands:
                continue
            command = command.commands[rest[0]]
        offered = {"--json", "--help"}
        for parameter in parameters(command):
            info = parameter.annotation.__metadata__[0]
            declared = [info.default, *(info.param_decls or ())]  # typer takes the first name for the default, at first
            offered |= {flag for names in declared if isinstance(names, str) for flag in names.split("/")}
        given = {word for word in rest if word.startswith("--")}
        assert given <= offered, f"understudy {words}: {given - offered}"


def test_align_corners_is_written_out():
    """And is False, wherever torch samples a grid in a way that knows corners, but for two published networks."""
    for path in PACKAGE.rglob("*.py"):
        published = {
            *(("warping", name, "grid_sample") for name in ("network.py", "losses.py", "test_warping.py")),
            ("regional_inversion", "parsing_network.py", "interpolate"),
        }
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called not in ("interpolate", "grid_sample", "affine_grid", "Upsample", "upsample"):
                continue
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            mode = getattr(given.get("mode"), "value", None)
            if called in ("interpolate", "Upsample", "upsample") and mode in ("area", "nearest", "nearest-exact", None):
                continue  # these have no corners to align
            corners = given.get("align_corners")
            allowed = (False, True) if (path.parent.name, path.name, called) in published else (False,)
            assert isinstance(corners, ast.Constant) and corners.value in allowed, f"{path.name}:{node.lineno}"


def test_sizes_are_width_and_height_and_shapes_are_rows_first():
    from understudy.faces.parse import face_mask, polygon_mask
    from understudy.media.frame import Frame

    frame = Frame(pixels=np.zeros((4, 7, 3), np.uint8), channels=("R", "G", "B"))
    assert frame.size == (7, 4)
    assert frame.view().shape == (4, 7, 3)
    triangle = np.array([[0, 0], [7, 0], [0, 4]], np.float32)
    assert polygon_mask(triangle, (7, 4)).shape == (4, 7)
    assert face_mask(np.random.default_rng(0).random((478, 2)) * 4, (7, 4)).shape == (4, 7)


def test_crops_are_rgb_between_zero_and_one():
    """Red stays first and white is 1, from an 8-bit plate to a crop."""
    from understudy.faces.align import CropTransform
    from understudy.media.frame import Frame

    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[..., 0] = 255
    view = Frame(pixels=pixels, channels=("R", "G", "B")).view()
    crop = CropTransform.from_params(30, 20, 20, 0.0).to_crop(view, 16)
    assert crop.dtype == np.float32 and crop.shape == (16, 16, 3)
    np.testing.assert_allclose(crop[8, 8], [1, 0, 0], atol=1e-6)


def test_masks_are_one_inside_the_face():
    from understudy.faces.align import mean_mesh
    from understudy.faces.parse import face_mask

    mask = face_mask(60 * mean_mesh()[:, :2] + (50, 40), (100, 80))
    assert mask.dtype == np.float32
    assert mask[40, 50] == 1 and mask[1, 1] == 0
    assert mask.min() >= 0 and mask.max() <= 1
