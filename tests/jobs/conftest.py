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


SHOW_FRAMES = range(1, 13)


def _write(folder: Path, clip, change=lambda pixels: pixels) -> Path:
    """The clip as a sequence of PNGs."""
    folder.mkdir(parents=True)
    for frame in clip:
        cv2.imwrite(str(folder / f"plate.{frame.number:04d}.png"), change(frame.pixels)[..., ::-1])
    return folder / "plate.####.png"


@pytest.fixture
def write():
    """``write(folder, clip)``: a clip as a sequence of PNGs; its pattern."""
    return _write


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A comb of 32 x 32 pixels for anna and ben, with random weights."""
    import torch

    from understudy.checkpoint import ModelCard, save_checkpoint
    from understudy.families import get
    from understudy.family import Recipe, Stage

    torch.manual_seed(0)
    recipe = Recipe(
        family="comb",
        preset="test",
        network={"widths": (8, 8, 8, 4), "latent": 8, "split_level": 1},
        stages=(Stage(resolution=32, pictures=1, batch=1, fade=0.0),),
    )
    tensors, network = get("comb").trainable(recipe, ("anna", "ben"), {}).checkpoint()
    path = tmp_path_factory.mktemp("run") / "model.safetensors"
    save_checkpoint(path, tensors, ModelCard(family="comb", preset="test", network=network))
    return path


_SHOWS = {}


@pytest.fixture
def show(tmp_path_factory, drawn_clip, fake_finder, actor, checkpoint):
    """A project with both faces gathered from drawn clips and the tiny comb as its run; with a finder for its clips.

    Made once: no test changes its faces or its run.
    """
    if checkpoint in _SHOWS:
        return _SHOWS[checkpoint]
    from understudy.jobs.gather import gather
    from understudy.jobs.options_gather import GatherOptions
    from understudy.jobs.project import new_project
    from understudy.provenance.cast import Consent

    project = new_project(
        tmp_path_factory.mktemp("show") / "show", identities={name: Consent(synthetic=True) for name in ("anna", "ben")}
    )
    run = project.runs / "tiny"
    run.mkdir()
    for file in checkpoint.parent.iterdir():
        (run / file.name).write_bytes(file.read_bytes())
    sources = {}
    for track, name in enumerate(("anna", "ben")):
        drawn = drawn_clip(
            lambda number, track=track: [actor(x=150 + 2 * number, yaw=number % 5, track=track)],
            SHOW_FRAMES,
            name=f"{name}.mov",
        )
        sources[name] = _write(project.footage / name, drawn)
        found = gather(
            GatherOptions(source=str(sources[name]), identity=name, project=project.root, size=64),
            finder=fake_finder(drawn),
        )
        assert found.found == len(SHOW_FRAMES)
    _SHOWS[checkpoint] = project, sources, lambda: fake_finder(drawn)
    return _SHOWS[checkpoint]


@pytest.fixture
def no_evaluators(monkeypatch, tmp_path):
    monkeypatch.delenv("UNDERSTUDY_MODELS", raising=False)
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "nothing"))
