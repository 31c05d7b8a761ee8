from __future__ import annotations

from pathlib import Path

import pytest

from understudy.errors import MediaError
from understudy.media.pattern import Pattern, find_source, number_of, ranges


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    for number in (998, 999, 1000, 1001):
        (tmp_path / f"plate.{number:04d}.exr").touch()
    (tmp_path / "plate.1000.exr.bak").touch()
    (tmp_path / "take2.mov").touch()
    return tmp_path


@pytest.mark.parametrize("name", ["plate.####.exr", "plate.%04d.exr", "plate.@@@@.exr", "plate.$F4.exr"])
def test_ways_to_name_a_sequence(shot: Path, name: str) -> None:
    found = find_source(shot / name)
    assert found.pattern is not None
    assert list(found.pattern.find()) == [998, 999, 1000, 1001]
    assert found.path == shot / "plate.####.exr"
    assert found.pattern.file(7) == shot / "plate.0007.exr"
    assert found.pattern.file(-7) == shot / "plate.-0007.exr"


def test_ranges_in_the_name(shot: Path) -> None:
    found = find_source(f"{shot}/plate.####.exr 999-1000")
    assert (found.first, found.last) == (999, 1000)
    found = find_source(f"{shot}/plate.####.exr 1001")
    assert (found.first, found.last) == (1001, 1001)


def test_names_with_blanks(tmp_path: Path) -> None:
    (tmp_path / "my plate 1-2.mov").touch()
    assert find_source(tmp_path / "my plate 1-2.mov").path.name == "my plate 1-2.mov"
    (tmp_path / "my shot.0001.png").touch()
    assert find_source(f"{tmp_path}/my shot.####.png 1-1").last == 1


def test_padding_grows_past_its_digits(tmp_path: Path) -> None:
    for name in ("a.99.png", "a.100.png", "a.7.png"):
        (tmp_path / name).touch()
    pattern = Pattern.of(tmp_path / "a.##.png")
    assert pattern is not None
    assert list(pattern.find()) == [99, 100]


def test_a_folder_with_one_sequence(shot: Path) -> None:
    assert find_source(shot).path == shot / "plate.####.exr"
    (shot / "matte.0001.png").touch()
    with pytest.raises(MediaError, match=r"holds 2 sequences \(matte.####.png 1-1; plate.####.exr 998-1001\)"):
        find_source(shot)


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "take2.mov").touch()
    with pytest.raises(MediaError, match="holds no numbered pictures; it holds the movies take2.mov"):
        find_source(tmp_path)


def test_what_is_near_is_shown(shot: Path) -> None:
    with pytest.raises(
        MediaError, match=r"plte.####.exr was not found; in .* there is plate.####.exr 998-1001; take2.mov"
    ):
        find_source(shot / "plte.####.exr")
    with pytest.raises(MediaError, match=r"take3.mov was not found; in .* there is take2.mov"):
        find_source(shot / "take3.mov")
    with pytest.raises(MediaError, match=r"there is no folder .*nowhere/deep, the nearest that is there is"):
        find_source(shot / "nowhere/deep/a.####.exr")


@pytest.mark.parametrize(
    ("name", "number"), [("plate.1001.exr", 1001), ("plate_7.png", 7), ("take2.png", 1), ("0042.png", 42), ("a.png", 1)]
)
def test_a_stills_own_number(name: str, number: int) -> None:
    assert number_of(Path(name)) == number


def test_ranges_are_short() -> None:
    assert ranges([1, 2, 3, 7, 9, 10]) == "1-3, 7, 9-10"
    assert ranges(range(0, 60, 2)).endswith("22 and 18 more")
