"""The contract between a family (a published system) and the rest of the house.

It stands at the height of the task: a family says which tasks it does, takes crops and returns crops with mattes, and hands
the training loop named phases. Nothing here speaks of encoders, latents or key points.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from understudy.dataset.augment import AugmentSettings
from understudy.errors import InternalError

if TYPE_CHECKING:
    import numpy as np
    import torch

    from understudy.dataset.batches import Portion


class Task(StrEnum):
    """What an artist can ask of a family."""

    SWAP = "swap"
    EDIT = "edit"
    ANIMATE = "animate"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stretch of training at one resolution."""

    resolution: int
    """Side of the pictures, pixels."""
    pictures: int
    """How many training pictures the stage lasts, over all identities."""
    batch: int
    """Pictures of every identity in one step."""
    fade: float = 1.0
    """Share of the stage over which the new level fades in linearly; 1 is the paper's, 0 switches it on at once."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole training, saved beside its result."""

    family: str
    preset: str
    network: Mapping[str, Any]
    """The family's own network settings."""
    losses: Mapping[str, Any] = field(default_factory=dict)
    """The family's own loss settings."""
    stages: tuple[Stage, ...]
    optimiser: str = "adam"
    """``adam``, or ``muon``: more from every picture, for a third more time a step on a processor."""
    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    rates: Mapping[str, float] = field(default_factory=dict)
    """Factors on the learning rate by the name of a parameter group."""
    gradient_norm: float = 1.0
    """Gradients of a phase are scaled down to this norm when they exceed it; 0 leaves them. Without normalisation layers a single
    wild step can saturate the output for good."""
    warm_up: int = 0
    """Training pictures over which the learning rate rises from nothing."""
    cool_down: float = 0.0
    """Share of the last stage over which the learning rate falls to a twentieth."""
    drops: tuple[tuple[int, float], ...] = ()
    """(training pictures, factor): from so many pictures on, the learning rate is multiplied by the factor."""
    ema_pictures: int = 10_000
    """Half-life of the averaged weights, in training pictures; 0 keeps the plain weights."""
    precision: str = "auto"
    """``auto``, ``bf16`` or ``float32``."""
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    start: str | None = None
    """Weights to start from: ``base`` is the packaged base model, else a checkpoint's path."""
    seed: int = 0

    @property
    def pictures(self) -> int:
        return sum(stage.pictures for stage in self.stages)


@dataclass(frozen=True, kw_only=True)
class SwapResult:
    """What a family returns for a batch of crops."""

    crops: np.ndarray
    """(B, size, size, 3) float32, RGB in [0, 1], view colour space."""
    mattes: np.ndarray | None = None
    """(B, size, size) float32 in [0, 1]: where the family itself says its face is; None leaves it to the landmarks."""
    motion: np.ndarray | None = None
    """(B, size, size, 2) float32, x then y, for families that move pixels: the result at p shows what the input showed at
    p + motion(p); the crop's side is 1."""


@dataclass(frozen=True, kw_only=True)
class Drive:
    """What a still is asked to do, one row a frame; a family reads what it understands (``Animator.signals``)."""

    strength: np.ndarray
    """(B,) float32: share of the change to apply; 0 gives the still, 1 the whole of it."""
    units: np.ndarray | None = None
    """(B, 17) float32 target action units, OpenFace's intensities 0 to 5 in the order of ``ActionUnit``."""
    still_units: np.ndarray | None = None
    """(17,) float32 action units of the still itself."""
    expression: str | None = None
    """One of ``Animator.expressions``."""
    landmarks: np.ndarray | None = None
    """(B, 478, 3) float32 target mesh in the crop's unit square."""
    still_landmarks: np.ndarray | None = None
    """(478, 3) float32 mesh of the still in the crop's unit square."""


@dataclass(frozen=True, kw_only=True)
class AnimateResult:
    """What a family returns for a still and B rows of a drive."""

    crops: np.ndarray
    """(B, size, size, 3) float32, RGB in [0, 1], view colour space."""
    motion: np.ndarray | None = None
    """(B, size, size, 2) float32 as in :class:`SwapResult`; with it, residual warping carries the result to any size."""
    mattes: np.ndarray | None = None
    """(B, size, size) float32 in [0, 1]: where the still was changed at all."""


class Animator(Protocol):
    """A checkpoint, ready to animate stills."""

    size: int
    signals: frozenset[str]
    """Which of ``units``, ``expression`` and ``landmarks`` it can be driven by."""
    expressions: tuple[str, ...]
    """The expressions it knows by name; empty without ``expression`` among its signals."""
    oval_share: float
    """Height of the face, chin to forehead, as share of the side of the crop that it wants (``canonical_transform``)."""

    def animate(self, still: np.ndarray, drive: Drive) -> AnimateResult:
        """(size, size, 3) float32 RGB in [0, 1] -> the same face, one result for every row of ``drive``."""
        ...


class Parser(Protocol):
    """A checkpoint, ready to tell the regions of faces apart."""

    size: int
    """Side of the crops that it reads best, pixels."""
    oval_share: float
    """Height of the face, chin to forehead, as share of the side of those crops."""

    @property
    def source(self) -> Path | None:
        """The file of its weights, for run records."""
        ...

    def parse(self, crops: np.ndarray, guides: np.ndarray | None = None) -> np.ndarray:
        """(B, size, size, 3) float32 RGB in [0, 1] -> (B, size, size, 12) float32 shares of the regions, sums of 1.

        ``guides`` are (B, 6, size, size) uint8 from ``faces.parse.region_guide``.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Textures:
    """What the regions of faces look like, whatever their shape."""

    values: np.ndarray
    """(B, 12, L) float32, a row a region in the order of ``Region``; only the family that read them knows what they say."""
    shown: np.ndarray
    """(B, 12) bool: the face shows the region."""


@dataclass(frozen=True, kw_only=True)
class FaceParts:
    """One face taken apart."""

    regions: np.ndarray
    """(h, h) uint8 region map of its crop."""
    values: np.ndarray
    """(12, L) textures."""
    shown: np.ndarray
    """(12,) bool: which regions have one."""


@dataclass(frozen=True, kw_only=True)
class JoinedFace:
    """Two faces put together."""

    regions: np.ndarray
    """(h, h) uint8."""
    values: np.ndarray
    """(12, L)."""
    strengths: np.ndarray
    """(12,) float32 in [0, 1]: how much of each region was asked of the driven face."""
    matte: np.ndarray
    """(s, s) float32 in [0, 1]: where the joined face is laid into the picture; s is the larger of crop's and map's side."""


class RegionEditor(Protocol):
    """A checkpoint, ready to take faces apart by region and to put them together again."""

    size: int
    """Side of its crops, pixels."""
    map_size: int
    """Side of the region maps that it makes full use of."""
    oval_share: float
    """Height of the face, chin to forehead, as share of the side of the crop that it wants (``canonical_transform``)."""
    detail_size: float
    """What is finer is blurred in the faces that it makes: standard deviation, in shares of the crop's side."""

    def read(self, crops: np.ndarray, regions: np.ndarray) -> Textures:
        """(B, size, size, 3) float32 RGB in [0, 1] and (B, h, h) uint8 region maps -> their textures."""
        ...

    def make(self, values: np.ndarray, regions: np.ndarray) -> np.ndarray:
        """(B, 12, L) textures and (B, h, h) region maps -> (B, size, size, 3) float32 RGB in [0, 1]."""
        ...

    def join(
        self,
        target: FaceParts,
        driven: FaceParts,
        *,
        regions: Sequence[str] = (),
        order: str = "paper",
        moving: bool = False,
    ) -> JoinedFace:
        """The target with the driven face's regions: all that a swap takes, or those named (``eyes``, ``lips=0.5``).

        ``order`` says what lies over what, ``moving`` that it is a frame of footage.
        """
        ...

    def terms(self) -> tuple[dict[str, float], tuple[str, ...]]:
        """What :meth:`optimise` goes by, with weights, and what it cannot go by here for want of networks."""
        ...

    def optimise(
        self,
        crop: np.ndarray,
        regions: np.ndarray,
        values: np.ndarray,
        *,
        steps: int = 200,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> tuple[np.ndarray, list[float]]:
        """Textures (12, L) fitted to one picture, from where ``values`` begin, and how far off each step was."""
        ...


class Performer(Protocol):
    """A checkpoint, ready to perform."""

    identities: tuple[str, ...]
    size: int

    def swap(self, crops: np.ndarray, identity: str) -> SwapResult:
        """(B, size, size, 3) float32 RGB in [0, 1] -> the same faces as ``identity``."""
        ...


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A part of a training step with an optimiser of its own."""

    name: str
    every: int = 1
    """It runs in every so-many-th step."""


class Trainable(Protocol):
    """A family in training: the loop drives it, the family owns the mathematics."""

    network: torch.nn.Module

    def phases(self) -> Sequence[Phase]:
        """The phases of a step, in order."""
        ...

    def parameter_groups(self, phase: str) -> Mapping[str, Sequence[torch.nn.Parameter]]:
        """The parameters that ``phase`` trains, by group name (see ``Recipe.rates``)."""
        ...

    def set_resolution(self, resolution: int) -> bool:
        """Grow to pictures of this side; True when parameters came or went."""
        ...

    def loss(
        self, phase: str, batch: Sequence[Portion], fade: float
    ) -> tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
        """The phase's loss, and named figures to log."""
        ...

    def preview(self, batch: Sequence[Portion], fade: float) -> np.ndarray:
        """A picture grid, (H, W, 3) uint8."""
        ...

    def checkpoint(self) -> tuple[Mapping[str, torch.Tensor], Mapping[str, Any]]:
        """Tensors and settings that a performer needs, taken from the present weights."""
        ...


def _not_done(*_: object, **__: object) -> NoReturn:
    """Stands where a family does not do a task; whoever calls it did not look at ``Family.tasks``."""
    raise InternalError("this family does not do that task.")


@dataclass(frozen=True, kw_only=True)
class Family:
    """One published system. Creating it loads no torch; the callables do when they are called."""

    name: str
    title: str
    paper: str
    tasks: frozenset[Task]
    presets: tuple[str, ...]
    recipe: Callable[..., Recipe]
    """``recipe(preset, identities=2)``: the whole training settings of a preset."""
    trainable: Callable[..., Trainable]
    """``trainable(recipe, identities, face_pictures)``: a network ready to train, started as the recipe says."""
    performer: Callable[..., Performer] = _not_done
    """``performer(checkpoint, device=...)``: a checkpoint ready to swap."""
    animator: Callable[..., Animator] = _not_done
    """``animator(checkpoint, device=...)``: a checkpoint ready to animate."""
    parser: Callable[..., Parser] | None = None
    """``parser(checkpoint, device=...)``: a checkpoint, or with None the packaged one, ready to tell regions apart; None where
    the family has none."""
    editor: Callable[..., RegionEditor] = _not_done
    """``editor(checkpoint, device=...)``: a checkpoint ready to edit by region."""
    importer: Callable[[Path, Path], Any] | None = None
    """``importer(file, checkpoint)``: write the authors' published weights as a checkpoint and return its card; None where
    none are published."""
    default_weights: Path | None = None
    """The checkpoint that comes with the package, for families that perform without training; None where there is none."""
    labelled: bool = False
    """It learns from labelled pictures of many people (``understudy train --data``), not from a cast's face sets."""
    parts: tuple[str, ...] = ()
    """Networks that are trained one after another (``understudy train --stage``), in order; ``recipe`` then takes ``stage=``.
    Empty where a training is one."""
    batches: Callable[..., Any] | None = None
    """``batches(recipe, folder, layout=..., keep=..., rank=..., progress=...)``: what ``--data`` names as training batches, for
    families whose pictures are labelled in a way of their own; None for :mod:`understudy.dataset.labelled`'s."""


def checkpoint_path(run: Path) -> Path:
    """Where a run keeps the weights that perform."""
    return run / "model.safetensors"
