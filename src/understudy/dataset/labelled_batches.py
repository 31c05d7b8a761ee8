"""Labelled pictures to training batches: what the face is driven by, and, where the data has it, the true answer to another drive.

The augmentation is the published one of the warping family: a move with mirrored borders in place of the paper's padding and
random crop, a flip, and a change of colours, all the same for a picture and its answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from understudy.dataset.augment import AugmentSettings, draw_jitter, draw_light, draw_moves, jitter, move, relight
from understudy.dataset.batches import SMALLEST_SET, Portion, detail_weights, generator_for, to_tensors
from understudy.dataset.labelled import Labelled, read_folder, read_points, signals_of
from understudy.errors import DatasetError

if TYPE_CHECKING:
    import torch

_SAMPLES = 16


class LabelledPictures:
    """A folder's training part as batches (see ``understudy.training.loop.Batches``).

    Pictures are held in memory while they fit the budget, else read as they are needed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        expressions: Sequence[str] = (),
        side: int = 160,
        oval_share: float = 0.5,
        augment: AugmentSettings,
        from_rest: float = 0.5,
        flip: float = 0.5,
        answers: str = "setup",
        apart: float = 0.0,
        points: Mapping[str, np.ndarray] | None = None,
        mirror: Sequence[int] | None = None,
        marks: Mapping[str, np.ndarray] | None = None,
        seed: int = 0,
        rank: int = 0,
        budget: int = 3_000_000_000,
    ) -> None:
        """
        Args:
            folder: see :mod:`understudy.dataset.labelled`.
            expressions: the classes, in the network's order; empty for action units.
            side: pictures are kept at this many pixels a side; a quarter more than the network's keeps moves sharp.
            oval_share: height of the face in the crops, for the weights of its pixels.
            from_rest: share of the pairs that begin at the set-up's calmest picture, as stills mostly do.
            flip: share of pictures that are mirrored; the units and expressions know no sides.
            answers: whose picture answers: another of the ``setup``, another of the ``person`` (a set-up's or, with
                ``apart``, one of another pose, light and place), or the picture ``self``.
            apart: share of a ``person``'s answers from another set-up; their colours are brought to the picture's.
            points: points (P, 2) in the crop's unit square by the picture's path below the folder, in place of the folder's
                own; pictures without any are left out. It is they that drive the face then: no label is needed.
            mirror: (P,) the point that takes each point's place in a mirrored picture; where points drive the face and this
                is None, nothing is mirrored.
            marks: points by the picture's path as ``points``, but for teaching motion only: labels drive the face. A picture
                without any has NaN.

        Raises:
            DatasetError: not such a folder, too few pictures, or labels of another kind.
        """
        self.folder, self.side, self.augment = folder, side, augment
        self.from_rest, self.flip, self.seed, self.rank = from_rest, flip, seed, rank
        self.answers, self.apart, self.mirror = answers, apart, None if mirror is None else np.asarray(mirror)
        self.entries = [entry for entry in read_folder(folder) if entry.part == "train"]
        if points is not None:
            self.entries = [entry for entry in self.entries if _name(folder, entry) in points]
            self.flip = flip if mirror is not None else 0.0
        if len(self.entries) < SMALLEST_SET:
            raise DatasetError(
                f"{folder} has {len(self.entries)} pictures for training; at least {SMALLEST_SET} are needed."
            )
        if points is None:
            self.signals = signals_of(self.entries, expressions, source=str(folder))
            self.points = read_points(folder, self.entries) if marks is None else _marked(folder, self.entries, marks)
        else:
            self.signals = np.zeros((len(self.entries), 0), np.float32)
            self.points = np.stack([points[_name(folder, entry)] for entry in self.entries]).astype(np.float32)
        self.people = sorted({entry.person for entry in self.entries})
        self.groups = [rows for rows in _groups(self.entries, self.signals).values() if len(rows) > 1]
        self._group_of = {row: group for group in self.groups for row in group}
        self._rows_of: dict[str, list[int]] = {}
        for row, entry in enumerate(self.entries):
            self._rows_of.setdefault(entry.person, []).append(row)
        self._weights = mean_weights(side, oval_share)
        self._kept: dict[int, np.ndarray] = {}
        self._keep = len(self.entries) * side * side * 3 <= budget

    def __len__(self) -> int:
        return len(self.entries)

    def read(self, row: int) -> np.ndarray:
        """A picture, (side, side, 3) uint8 RGB, view colour space."""
        if row not in self._kept:
            picture = read_square(self.entries[row].picture, self.side)
            if not self._keep:
                return picture
            self._kept[row] = picture
        return self._kept[row]

    def pair(self, row: int, numbers: np.random.Generator) -> tuple[int, int]:
        """A picture and its answer: another of the same set-up, or itself where there is none."""
        if self.answers == "self":
            return row, row
        group = self._group_of.get(row)
        if self.answers == "person" and (group is None or numbers.random() < self.apart):
            setup = self.entries[row].setup
            elsewhere = [
                other
                for other in self._rows_of[self.entries[row].person]
                if other != row and (not setup or self.entries[other].setup != setup)
            ]
            if elsewhere:
                return row, elsewhere[numbers.integers(len(elsewhere))]
        if group is None:
            return row, row
        # The first of a group is its calmest.
        shown = group[0] if numbers.random() < self.from_rest else row
        others = [other for other in group if other != shown]
        return shown, others[numbers.integers(len(others))]

    def batch(self, step: int, *, each: int, size: int) -> list[Portion]:
        """One portion of ``each`` pictures at ``size`` pixels."""
        import torch

        numbers, generator = generator_for(self.seed, step, self.rank)
        pairs = [self.pair(int(row), numbers) for row in numbers.integers(len(self.entries), size=each)]
        # One move and one light for a picture and its answer: what changes is the expression.
        moves = draw_moves(each, self.augment, generator)
        mirrored = torch.rand(each, generator=generator) < self.flip
        moves[mirrored, :, 0] *= -1
        moved = move(self._tensors(pairs), moves.repeat(2, 1, 1), size, border="reflection")
        light, colours = draw_light(each, self.augment, generator), draw_jitter(each, self.augment, generator)
        shown, answers = moved[:, :3].split(each)
        answers = self._in_its_light(pairs, shown, answers, moved[:each, 3:], moved[each:, 3:])
        inputs, targets = (jitter(relight(half, light), colours) for half in (shown, answers))
        noise = torch.randn(inputs.shape, generator=generator) * self.augment.noise
        return [self._portion(pairs, (inputs + noise).clamp(0, 1), targets, moved[each:, 3:], moves, mirrored)]

    def sample(self, *, each: int, size: int) -> list[Portion]:
        """The same pictures every time, from rest to another expression, unmoved and unlit."""
        from torch.nn import functional

        numbers = np.random.default_rng(self.seed)
        starts = [group[0] for group in self.groups] or list(range(len(self.entries)))
        chosen = np.linspace(0, len(starts) - 1, min(_SAMPLES, len(starts))).round().astype(int)
        pairs = [self.pair(starts[int(place)], numbers) for place in chosen]
        small = functional.interpolate(self._tensors(pairs), size=(size, size), mode="area")
        inputs, targets = small[:, :3].split(len(pairs))
        weights = small[len(pairs) :, 3:]
        targets = self._in_its_light(pairs, inputs, targets, small[: len(pairs), 3:], weights)
        return [self._portion(pairs, inputs, targets, weights)]

    def alike(self, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
        """(B,) bool: picture and answer differ by the face alone."""
        setups = [(self.entries[shown].setup, self.entries[answer].setup) for shown, answer in pairs]
        same = [shown == answer for shown, answer in pairs]
        return np.array([one or (bool(a) and a == b) for one, (a, b) in zip(same, setups, strict=True)])

    def _in_its_light(
        self,
        pairs: Sequence[tuple[int, int]],
        shown: torch.Tensor,
        answers: torch.Tensor,
        weights: torch.Tensor,
        answer_weights: torch.Tensor,
    ) -> torch.Tensor:
        """Answers from another set-up with the mean and the deviation that each channel has in the face that is shown."""
        import torch

        if self.answers != "person" or (alike := self.alike(pairs)).all():
            return answers

        def measured(pictures: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            share = weights / weights.sum((2, 3), keepdim=True).clamp_min(1e-6)
            mean = (pictures * share).sum((2, 3), keepdim=True)
            return mean, ((pictures - mean).square() * share).sum((2, 3), keepdim=True).sqrt()

        (mean, deviation), (own, own_deviation) = measured(shown, weights), measured(answers, answer_weights)
        # Where one is nearly flat, a ratio of deviations means nothing.
        gain = (deviation / own_deviation.clamp_min(1e-3)).clamp(0.5, 2.0)
        brought = ((answers - own) * gain + mean).clamp(0, 1)
        return torch.where(torch.from_numpy(alike)[:, None, None, None], answers, brought)

    def _tensors(self, pairs: Sequence[tuple[int, int]]) -> torch.Tensor:
        """(2 B, 4, side, side): the pictures shown, then their answers, each with its weights."""
        import torch

        rows = [shown for shown, _ in pairs] + [answer for _, answer in pairs]
        return torch.cat(to_tensors([(self.read(row), self._weights) for row in rows]), 1)

    def _points(
        self, rows: Sequence[int], moves: torch.Tensor | None, mirrored: torch.Tensor | None
    ) -> torch.Tensor | None:
        """(B, P, 2) points of the pictures, moved as they are; in mirrored ones left and right change places."""
        import torch

        if self.points is None:
            return None
        points = torch.from_numpy(self.points[list(rows)])
        if self.mirror is not None and mirrored is not None:
            points = torch.where(mirrored[:, None, None], points[:, self.mirror], points)
        if moves is None:
            return points
        # ``moves`` lead from the result to the picture, in [-1, 1] with align_corners=False.
        back = torch.linalg.inv(moves[:, :, :2])
        return ((2 * points - 1 - moves[:, None, :, 2]) @ back.mT + 1) / 2

    def _portion(
        self,
        pairs: Sequence[tuple[int, int]],
        inputs: torch.Tensor,
        targets: torch.Tensor,
        weights: torch.Tensor,
        moves: torch.Tensor | None = None,
        mirrored: torch.Tensor | None = None,
    ) -> Portion:
        import torch

        shown, answers = ([pair[place] for pair in pairs] for place in (0, 1))
        alone = torch.tensor([first == second for first, second in pairs])[:, None, None, None]
        return Portion(
            identity="people",
            inputs=inputs,
            # To the bit, so that whoever looks can tell that there is no other answer.
            targets=torch.where(alone, inputs, targets),
            weights=weights,
            signals=torch.from_numpy(self.signals[shown]),
            target_signals=torch.from_numpy(self.signals[answers]),
            points=self._points(shown, moves, mirrored),
            target_points=self._points(answers, moves, mirrored),
            alike=torch.from_numpy(self.alike(pairs).astype(np.float32)),
        )


def _marked(folder: Path, entries: Sequence[Labelled], marks: Mapping[str, np.ndarray]) -> np.ndarray:
    """(N, P, 2) float32 in the order of ``entries``; NaN for those without."""
    unknown = np.full_like(next(iter(marks.values())), np.nan)
    return np.stack([marks.get(_name(folder, entry), unknown) for entry in entries]).astype(np.float32)


def _name(folder: Path, entry: Labelled) -> str:
    return entry.picture.relative_to(folder).as_posix()


def mean_weights(side: int, oval_share: float) -> np.ndarray:
    """Weights (side, side) uint8, 64 for 1, of a crop's pixels where no mesh is kept: the mean face's, softened."""
    import cv2

    from understudy.faces.align import OVAL_CENTRE, mean_mesh
    from understudy.faces.parse import face_mask

    points = mean_mesh()[:, :2] * oval_share + np.array(OVAL_CENTRE)
    points = (points * side).astype(np.float32)
    weights = detail_weights(face_mask(points, side, feather=0.03 * side), points)
    return cv2.GaussianBlur(weights, (0, 0), 0.015 * side)


def read_square(path: Path, side: int) -> np.ndarray:
    """A picture file as (side, side, 3) uint8 RGB.

    Raises:
        DatasetError: not there, no picture, or not square.
    """
    import cv2

    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror or error}.") from error
    pixels = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if pixels is None:
        raise DatasetError(f"{path} cannot be read as a picture; put it right or take its line out.")
    if pixels.shape[0] != pixels.shape[1]:
        raise DatasetError(
            f"{path} has {pixels.shape[1]} x {pixels.shape[0]} pixels; labelled pictures are square canonical crops."
        )
    if pixels.shape[0] != side:
        shrinks = side < pixels.shape[0]
        pixels = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.ascontiguousarray(pixels[..., ::-1])


def _groups(entries: Sequence[Labelled], signals: np.ndarray) -> dict[tuple[str, str], list[int]]:
    """Rows of the same person and set-up, the calmest first."""
    groups: dict[tuple[str, str], list[int]] = {}
    for row, entry in enumerate(entries):
        if entry.setup:
            groups.setdefault((entry.person, entry.setup), []).append(row)
    for rows in groups.values():
        rows.sort(key=lambda row: (0.0 if entries[row].expression == "neutral" else float(signals[row].sum()), row))
    return groups
