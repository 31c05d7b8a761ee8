"""Names of footage: what a source string means, and which files of a sequence are there."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from understudy.errors import MediaError

MOVIE_SUFFIXES = frozenset(
    {
        *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mxf", ".ts", ".m2ts", ".mts", ".mpg"),
        *(".mpeg", ".wmv", ".flv", ".3gp", ".ogv", ".nut", ".y4m", ".gif", ".vob", ".dv"),
    }
)
PICTURE_SUFFIXES = frozenset(
    {
        *(".png", ".jpg", ".jpeg", ".tif", ".tiff", ".exr", ".dpx", ".cin", ".bmp", ".tga", ".webp"),
        *(".hdr", ".jp2", ".j2k", ".jxl", ".ppm", ".pgm", ".pnm", ".sgi", ".rgb"),
    }
)

_FIELD = re.compile(r"#+|@+|%0?(\d*)d|\$F(\d?)")
_RANGE = re.compile(r"^(?P<name>.*\S)\s+(?P<first>-?\d+)(?:-(?P<last>-?\d+))?$")
_NUMBER = re.compile(r"(-?\d+)(?=\.[^.]*$)")


@dataclass(frozen=True)
class Pattern:
    """A numbered file name: ``before`` + number with at least ``padding`` digits + ``after``, in ``folder``."""

    folder: Path
    before: str
    padding: int
    after: str

    @staticmethod
    def of(path: Path) -> Pattern | None:
        """Read ``plate.####.exr``, ``plate.%04d.exr``, ``plate.@@@@.exr`` or ``plate.$F4.exr``; None without a number field."""
        matches = list(_FIELD.finditer(path.name))
        if not matches:
            return None
        match = matches[-1]
        text = match.group()
        padding = len(text) if text[0] in "#@" else int(match.group(1) or match.group(2) or 1)
        return Pattern(path.parent, path.name[: match.start()], padding, path.name[match.end() :])

    @property
    def path(self) -> Path:
        """The pattern as a path with one # a digit."""
        return self.folder / f"{self.before}{'#' * self.padding}{self.after}"

    def file(self, number: int) -> Path:
        """Path of frame ``number``; minus stands before the zeros."""
        digits = f"{abs(number):0{self.padding}d}"
        return self.folder / f"{self.before}{'-' if number < 0 else ''}{digits}{self.after}"

    def find(self) -> dict[int, Path]:
        """Return the files that are there, by number, in order."""
        if not self.folder.is_dir():
            return {}
        expression = re.compile(re.escape(self.before) + r"(-?\d+)" + re.escape(self.after))
        found: dict[int, Path] = {}
        for path in self.folder.iterdir():
            match = expression.fullmatch(path.name)
            if (
                match
                and len(match.group(1).lstrip("-")) >= self.padding
                and path.name == self.file(int(match.group(1))).name
            ):
                found[int(match.group(1))] = path
        return dict(sorted(found.items()))


@dataclass(frozen=True)
class Source:
    """What a source string stands for: one file at ``path``, or a sequence by ``pattern``; and the range it named."""

    path: Path
    pattern: Pattern | None = None
    first: int | None = None
    last: int | None = None


def find_source(source: str | Path) -> Source:
    """Find what ``source`` names.

    Raises:
        MediaError: nothing there, with what was found near it.
    """
    text = str(source)
    first = last = None
    if not Path(text).exists() and (match := _RANGE.match(text)):
        text, first = match["name"], int(match["first"])
        last = int(match["last"]) if match["last"] is not None else first
    path = Path(text).expanduser()
    if path.is_file():
        return Source(path, None, first, last)
    if path.is_dir():
        pattern = _pattern_in(path)
        return Source(pattern.path, pattern, first, last)
    pattern = Pattern.of(path)
    if pattern is None or not pattern.find():
        raise MediaError(f"{path} was not found{_near(path)}.")
    return Source(pattern.path, pattern, first, last)


def number_of(path: Path) -> int:
    """Return the frame number in a single picture's name (``plate.1001.exr``: 1001), or 1."""
    match = _NUMBER.search(path.name)
    # "take2.png" is a name; a frame number stands alone between marks.
    if match is None or (match.start() > 0 and path.name[match.start() - 1].isalnum()):
        return 1
    return int(match.group().lstrip("-")) if match.start() > 0 else int(match.group())


def numbered(paths: Iterable[Path]) -> dict[Pattern, list[int]]:
    """Group picture files by their numbered pattern."""
    groups: dict[tuple[Path, str, str], list[str]] = defaultdict(list)
    for path in paths:
        match = _NUMBER.search(path.name)
        if match and path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith("."):
            digits = match.group().lstrip("-")
            groups[path.parent, path.name[: match.end() - len(digits)], path.name[match.end() :]].append(digits)
    return {
        Pattern(folder, before, min(map(len, digits)), after): sorted(map(int, digits))
        for (folder, before, after), digits in sorted(groups.items(), key=str)
    }


def describe(pattern: Pattern, numbers: list[int]) -> str:
    """Return such as ``plate.####.exr 1001-1100``."""
    return f"{pattern.path.name} {numbers[0]}-{numbers[-1]}" if numbers else pattern.path.name


def ranges(numbers: Iterable[int]) -> str:
    """Return such as ``3, 7-9``, cut short after a dozen pieces."""
    pieces: list[list[int]] = []
    for number in sorted(numbers):
        if pieces and number == pieces[-1][1] + 1:
            pieces[-1][1] = number
        else:
            pieces.append([number, number])
    words = [str(low) if low == high else f"{low}-{high}" for low, high in pieces]
    return ", ".join(words[:12]) + (f" and {len(words) - 12} more" if len(words) > 12 else "")


def listing(suffixes: Iterable[str]) -> str:
    """Return suffixes as a sentence's list."""
    return " ".join(sorted(suffixes))


def _pattern_in(folder: Path) -> Pattern:
    groups = numbered(folder.iterdir())
    if len(groups) == 1:
        return next(iter(groups))
    if not groups:
        movies = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in MOVIE_SUFFIXES)
        hint = f"; it holds the movies {', '.join(movies[:5])}: name one of them" if movies else ""
        raise MediaError(f"The folder {folder} holds no numbered pictures{hint}.")
    names = "; ".join(describe(pattern, numbers) for pattern, numbers in list(groups.items())[:5])
    raise MediaError(
        f"The folder {folder} holds {len(groups)} sequences ({names}): name the one you mean, as {folder}/name.####.exr."
    )


def _near(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        while not folder.is_dir() and folder != folder.parent:
            folder = folder.parent
        return f": there is no folder {path.parent}, the nearest that is there is {folder}"
    groups = numbered(folder.iterdir())
    names = {describe(pattern, numbers): pattern.path.name for pattern, numbers in groups.items()}
    names |= {
        entry.name: entry.name
        for entry in folder.iterdir()
        if entry.suffix.lower() in MOVIE_SUFFIXES
        or (entry.suffix.lower() in PICTURE_SUFFIXES and not _NUMBER.search(entry.name))
    }
    if not names:
        return f": the folder {folder} holds no footage"
    ordered = sorted(names, key=lambda name: -difflib.SequenceMatcher(None, names[name], path.name).ratio())
    return f"; in {folder} there is {'; '.join(ordered[:4])}"
