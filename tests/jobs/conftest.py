"""Drawn clips and a stand-in for the face models, so that jobs are tested without weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.faces.align import fit_mesh, mean_mesh
from understudy.faces.face import Face
from understudy.media.clip import Clip
from understudy.media.colour import ColourSpace
from understudy.media.frame import Frame

WIDTH, HEIGHT = 320, 240


@dataclass(frozen=True, kw_only=True)
class Actor:
    """A face in one frame of a drawn clip: middle and height in pixels, yaw in degrees."""

    track: int = 0
    x: float = 160.0
    y: float = 120.0
    height: float = 120.0
    yaw: float = 0.0


Script = Callable[[int], Sequence[Actor]]


def mesh_of(actor: Actor) -> np.ndarray:
    """(478, 3) landmarks of an actor: the neutral mean mesh, turned, scaled and shifted."""
    turn = math.radians(actor.yaw)
    rotation = np.array([[math.cos(turn), 0, -math.sin(turn)], [0, 1, 0], [math.sin(turn), 0, math.cos(turn)]])
    return (actor.height * mean_mesh() @ rotation.T + (actor.x, actor.y, 0)).astype(np.float32)


class DrawnClip(Clip):
    """A clip drawn from a script; ``decoded`` notes the frames that were read."""

    kind = "movie"

    def __init__(self, source: Path, script: Script, numbers: Sequence[int], dtype: type = np.uint8) -> None:
        self.source, self.script, self.numbers = source, script, list(numbers)
        self.size, self.rate, self.colour = (WIDTH, HEIGHT), Fraction(25), ColourSpace.DISPLAY
        self.dtype, self.channels = np.dtype(dtype), ("R", "G", "B")
        self.decoded: list[int] = []
        if not source.exists():
            source.write_bytes(repr(source.name).encode())

    def __iter__(self) -> Iterator[Frame]:
        for number in self.numbers:
            yield self.frame(number)

    def frame(self, number: int) -> Frame:
        self.decoded.append(number)
        noise = np.random.default_rng(number).integers(0, 40, (HEIGHT, WIDTH, 3), np.uint8)
        picture = noise.copy()
        for actor in self.script(number):
            hull = cv2.convexHull(mesh_of(actor)[:, :2].astype(np.int32))
            colour = ((220, 170, 140), (120, 90, 70), (200, 200, 90))[actor.track % 3]
            cv2.fillConvexPoly(picture, hull, colour)
            for point in mesh_of(actor)[[33, 263, 1, 61, 291], :2]:
                cv2.circle(picture, tuple(int(value) for value in point), 4, (40 + number % 50, 30, 30), -1)
        pixels = picture if self.dtype == np.uint8 else picture.astype(self.dtype) * 257
        return Frame(
            pixels=pixels, channels=self.channels, number=number, time=Fraction(number - self.numbers[0], 25),
            colour=self.colour,
        )  # fmt: skip


@dataclass
class FakeFinder:
    """Finds the actors of a drawn clip, with a shake that stabilising takes away. ``stop_at`` raises in that frame."""

    clip: DrawnClip
    shake: float = 1.0
    stop_at: int | None = None
    weights: dict[str, str] = field(default_factory=lambda: {"models.task": "ab" * 32})
    settled: list[int] = field(default_factory=list)

    def follow(self, frames: Iterable[tuple[int, np.ndarray]]) -> Iterator[tuple[int, list[Face]]]:
        for number, picture in frames:
            assert picture.dtype == np.uint8 and picture.shape == (HEIGHT, WIDTH, 3)
            if number == self.stop_at:
                raise KeyboardInterrupt
            yield number, [self._face(actor, number) for actor in self.clip.script(number)]

    def stabilise(self, picture: np.ndarray, faces: Sequence[Face], perturbations: int) -> np.ndarray:
        self.settled.append(len(faces))
        return np.stack([self._without_shake(face) for face in faces])

    def _face(self, actor: Actor, number: int) -> Face:
        offset = np.random.default_rng([number, actor.track]).normal(0, self.shake, 2)
        points = mesh_of(actor) + np.array([*offset, 0], np.float32)
        inside = ((points[:, :2] >= 0) & (points[:, :2] <= (WIDTH, HEIGHT))).all(axis=1)
        box = np.concatenate([points[:, :2].min(axis=0), points[:, :2].max(axis=0)])
        self._offsets = getattr(self, "_offsets", {}) | {points.tobytes(): offset}
        return Face(
            box=box, landmarks=points, score=0.9, pose=fit_mesh(points).pose, track=actor.track,
            visible=float(inside.mean()),
        )  # fmt: skip

    def _without_shake(self, face: Face) -> np.ndarray:
        return face.landmarks - 0.7 * np.array([*self._offsets[face.landmarks.tobytes()], 0], np.float32)


@pytest.fixture
def actor() -> type[Actor]:
    return Actor


@pytest.fixture
def drawn_clip(tmp_path):
    """Make a drawn clip: ``drawn_clip(script, numbers)``."""

    def make(script: Script, numbers: Sequence[int] = range(1, 13), name: str = "take.mov", dtype: type = np.uint8):
        return DrawnClip(tmp_path / name, script, numbers, dtype)

    return make


@pytest.fixture
def fake_finder() -> type[FakeFinder]:
    return FakeFinder
