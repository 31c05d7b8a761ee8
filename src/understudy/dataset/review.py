"""Judging a face set: figures of every picture, order, filters and near duplicates."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from understudy.dataset.contact_sheet import Cell, contact_sheet
from understudy.dataset.face_set import FaceEntry, FaceSet
from understudy.dataset.likeness import Embedder, measure_likeness
from understudy.dataset.measures import hash_distances
from understudy.errors import OptionError

SORTS = ("name", "blur", "yaw", "pitch", "roll", "size", "duplicates", "likeness")
ALIASES = {
    "identity": "likeness",
    "face": "likeness",
    "origname": "name",
    "sharpness": "blur",
    "duplicate": "duplicates",
}
NEAR_DUPLICATE = 6
"""Differing bits, of 256, up to which two pictures count as near duplicates: encoding alone makes 2 to 4."""

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class Score:
    """One picture's figures.

    Attributes:
        entry: the picture.
        blur: its sharpness: low is blurred.
        yaw, pitch, roll: degrees.
        size: the crop's side in plate pixels.
        duplicates: differing bits (of 256) from the most similar sharper picture; low is a near duplicate.
        duplicate_of: that picture, where the two are near duplicates.
        likeness: cosine with the set's mean, -1 to 1: low may be somebody else. None where it was not asked for.
    """

    entry: FaceEntry = field(repr=False)
    blur: float
    yaw: float
    pitch: float
    roll: float
    size: float
    duplicates: int
    duplicate_of: str | None
    likeness: float | None = None

    @property
    def name(self) -> str:
        """The picture's name."""
        return self.entry.name

    def value(self, sort: str) -> float:
        """The figure that ``sort`` names."""
        value = getattr(self, sort)
        return float("nan") if value is None else float(value)

    def badness(self, sort: str) -> float:
        """How doubtful the picture is by this figure: higher is worse. Angles count without their sign."""
        value = self.value(sort)
        return abs(value) if sort in ("yaw", "pitch", "roll") else -value


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A filter such as ``yaw>40``, ``|yaw|>40``, ``blur<0.05`` or ``duplicates<=8``."""

    figure: str
    magnitude: bool
    relation: str
    bound: float

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read a condition; ``duplicates`` alone stands for the near duplicates.

        Raises:
            OptionError: not understood.
        """
        if resolve_sort(text.strip(), strict=False) == "duplicates":
            return cls(figure="duplicates", magnitude=False, relation="<=", bound=NEAR_DUPLICATE)
        match = re.fullmatch(r"\s*(\|?)([a-z]+)\1\s*(<=|>=|<|>)\s*(-?\d+(?:\.\d+)?)\s*", text)
        figure = resolve_sort(match[2], strict=False) if match else None
        if match is None or figure in (None, "name"):
            raise OptionError(
                f"--where {text!r} is not understood: write a figure ({', '.join(SORTS[1:])}), one of < <= > >=, "
                "and a number, such as 'blur<0.05' or '|yaw|>60'."
            )
        return cls(figure=str(figure), magnitude=bool(match[1]), relation=match[3], bound=float(match[4]))

    def holds(self, score: Score) -> bool:
        """Whether a picture's figure meets the condition."""
        value = score.value(self.figure)
        value = abs(value) if self.magnitude else value
        return {
            "<": value < self.bound,
            "<=": value <= self.bound,
            ">": value > self.bound,
            ">=": value >= self.bound,
        }[self.relation]


def resolve_sort(name: str, *, strict: bool = True) -> str | None:
    """The sort that ``name`` or one of its other names stands for.

    Raises:
        OptionError: unknown, and ``strict``.
    """
    known = ALIASES.get(name, name)
    if known in SORTS:
        return known
    if strict:
        raise OptionError(f"--sort {name!r} is not known: choose one of {', '.join(SORTS)}.")
    return None


def score_entries(
    face_set: FaceSet,
    entries: Sequence[FaceEntry],
    *,
    embedder: Embedder | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> list[Score]:
    """Figures of every picture, in the order given; likeness only with an ``embedder``, whose vectors are kept."""
    nearest = find_duplicates(entries)
    likeness = measure_likeness(face_set, entries, embedder, progress=progress) if embedder else {}
    return [
        Score(
            entry=entry,
            blur=entry.sharpness,
            yaw=entry.pose.yaw,
            pitch=entry.pose.pitch,
            roll=entry.pose.roll,
            size=entry.plate_pixels,
            duplicates=nearest[entry.name][0],
            duplicate_of=nearest[entry.name][1],
            likeness=likeness.get(entry.name),
        )
        for entry in entries
    ]


def find_duplicates(
    entries: Sequence[FaceEntry], *, threshold: int = NEAR_DUPLICATE
) -> dict[str, tuple[int, str | None]]:
    """For every picture the differing bits from the most similar sharper one, and its name where within ``threshold``.

    The sharpest of a group of near duplicates is nobody's duplicate, so dropping all duplicates keeps one of each.
    """
    result: dict[str, tuple[int, str | None]] = {}
    kept = np.empty((len(entries), 32), np.uint8)
    names: list[str] = []
    for entry in sorted(entries, key=lambda entry: (-entry.sharpness, entry.name)):
        bits = np.frombuffer(entry.hash, np.uint8)
        distance, name = 256, None
        if names:
            distances = hash_distances(kept[: len(names)], bits)
            index = int(distances.argmin())
            distance, name = int(distances[index]), names[index]
        duplicate = name is not None and distance <= threshold
        result[entry.name] = (distance, name if duplicate else None)
        if not duplicate:
            kept[len(names)] = bits
            names.append(entry.name)
    return result


def arrange(
    scores: Sequence[Score], *, sort: str = "name", worst: int | None = None, where: Sequence[Condition] = ()
) -> list[Score]:
    """Filter by all of ``where``, then order: by the figure upward, or the ``worst`` so many first.

    Raises:
        OptionError: the worst by name, or by likeness that was not measured.
    """
    if any(score.likeness is None for score in scores) and (
        sort == "likeness" or any(condition.figure == "likeness" for condition in where)
    ):
        raise OptionError("Likeness was not measured for these pictures: give an embedder.")
    chosen = [score for score in scores if all(condition.holds(score) for condition in where)]
    if worst is None:
        return sorted(chosen, key=lambda score: (score.name if sort == "name" else score.value(sort), score.name))
    if sort == "name":
        raise OptionError(f"--worst {worst} needs --sort with a figure: {', '.join(SORTS[1:])}.")
    if worst < 1:
        raise OptionError(f"--worst {worst} must be 1 or more.")
    return sorted(chosen, key=lambda score: (-score.badness(sort), score.name))[:worst]


def sheet_of_scores(face_set: FaceSet, scores: Sequence[Score], *, sort: str, title: str, most: int = 96) -> np.ndarray:
    """A contact sheet (H, W, 3) uint8 RGB of at most ``most`` pictures, evenly picked where there are more.

    Dropped pictures have a red frame; sorted by duplicates, near duplicates have an amber one.
    """
    if len(scores) > most:
        picked = np.unique(np.linspace(0, len(scores) - 1, most).round().astype(int))
        title += f" ({len(picked)} of {len(scores)} shown)"
        scores = [scores[index] for index in picked]

    def cells():
        for score in scores:
            entry = score.entry
            double = sort == "duplicates" and score.duplicate_of
            tone = "dropped" if entry.dropped is not None else "marked" if double else "plain"
            picture, _ = face_set.load(entry, min(face_set.size, 256))
            second = entry.dropped if entry.dropped else caption(score, sort)
            yield Cell(picture=picture, lines=(f"{entry.number} {entry.clip}", second), tone=tone)

    return contact_sheet(cells(), len(scores), title=title)


def caption(score: Score, sort: str) -> str:
    """The figure that the sheet is sorted by, in words."""
    if sort in ("yaw", "pitch", "roll"):
        return f"{sort} {_degrees(score.value(sort))}"
    if sort == "size":
        return f"{score.size:.0f} px in the plate"
    if sort == "duplicates":
        if score.duplicate_of is None:
            return f"{score.duplicates} bits apart"
        clip, number, _ = score.duplicate_of.rsplit(".", 2)
        return f"like {int(number)}" if clip == score.entry.clip else f"like {clip} {int(number)}"
    if sort == "likeness":
        return f"likeness {score.value(sort):.2f}"
    if sort == "blur":
        return f"sharpness {score.blur:.3f}"
    return f"yaw {_degrees(score.yaw)} pitch {_degrees(score.pitch)}"


def _degrees(angle: float) -> str:
    return f"{round(angle):+d}°" if round(angle) else "0°"
