"""How fast this machine is at every stage, each beside what the machine itself could reach in the same run."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from understudy.errors import OptionError, UserError
from understudy.jobs.bench_regions import NETWORKS, RegionRate, region_rate
from understudy.jobs.bench_warp import WARPS, WarpRate, warp_rate
from understudy.jobs.machine_limits import Limits, best_time, command_seconds, measure_limits, settle, times
from understudy.provenance.record import machine

if TYPE_CHECKING:
    from understudy.family import Recipe

Progress = Callable[[str, int, int | None], None]

PRESETS = ("preview", "studio-256", "studio-512", "hero-1024")
_CLIP = "jun_r2.mp4"
_CLIP_FRAMES = 48
_HELP = "import sys; from understudy.cli import main; sys.exit(main(['--help']))"


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """Options of :func:`bench`."""

    presets: tuple[str, ...] = field(default=PRESETS, metadata={"help": "Presets to train a step and to swap with."})
    device: str = field(default="auto", metadata={"help": "auto, cpu, cuda or mps."})
    seconds: float = field(default=8.0, metadata={"help": "How long to time each preset; one step is always taken."})
    output: Path | None = field(default=None, metadata={"help": "Also write the report to this JSON file."})


@dataclass(frozen=True, kw_only=True)
class GatherRate:
    """Footage to faces on a packaged clip, without reading its faces from a cache."""

    frames: int
    width: int
    height: int
    faces_per_second: float
    seconds: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class PresetRate:
    """One preset: a training step as training takes it, and swapping crops."""

    preset: str
    resolution: int
    """Pixels a side."""
    precision: str
    batch: int
    """Training pictures of each of two identities in a step."""
    steps: int
    """Steps that were timed."""
    training_pictures_per_second: float
    training_gflop_per_picture: float
    training_share: float
    """Operations a second over the machine's matrix multiplication in the same precision."""
    swap_frames_per_second: float
    swap_gflop_per_frame: float
    swap_share: float
    peak_gib: float | None
    """Memory of a GPU at its fullest; None on a processor."""


@dataclass(frozen=True, kw_only=True)
class SkippedPreset:
    """A preset that was left out, and why."""

    preset: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class BlendTime:
    """Algorithm 1 on two pictures of 1024 x 1024."""

    seconds: float
    share: float
    """Time to read both pictures and write one at the machine's memory bandwidth, over the time taken."""


@dataclass(frozen=True, kw_only=True)
class HelpTime:
    """``understudy --help`` and ``python -c pass``, medians in seconds."""

    help: float
    python: float


@dataclass(frozen=True, kw_only=True)
class BenchReport:
    """Everything measured."""

    machine: dict[str, Any]
    limits: Limits
    gather: GatherRate | None
    gather_missing: str
    """Why gathering was not measured, or empty."""
    shot_frames_per_second: float | None
    """A whole swap of the packaged clip with the preview network: decode, perform, composite, encode; faces known already."""
    presets: tuple[PresetRate, ...]
    skipped: tuple[SkippedPreset, ...]
    blend: BlendTime
    warps: tuple[WarpRate, ...]
    """Residual warping at 1024 and 4096 pixels a side, both ways."""
    regions: tuple[RegionRate, ...]
    """Faces made region by region, by the preview's network and by the paper's."""
    help: HelpTime


def bench(options: BenchOptions | None = None, progress: Progress = lambda stage, done, total: None) -> BenchReport:
    """Measure everything once. Nothing is kept but the report, if asked for.

    Raises:
        OptionError: an unknown preset or device.
    """
    from understudy.provenance.atomic import write_json
    from understudy.provenance.record import plain
    from understudy.tensors import choose_device

    options = options or BenchOptions()
    unknown = [name for name in options.presets if name not in PRESETS]
    if unknown:
        raise OptionError(f"--presets {unknown[0]}: there are {', '.join(PRESETS)}.")
    device = choose_device(options.device)
    progress("machine", 0, None)
    limits = measure_limits(device)
    progress("help", 0, None)
    help_time = HelpTime(help=command_seconds(["-c", _HELP]), python=command_seconds(["-c", "pass"]))
    progress("blend", 0, None)
    blend = _blend(limits)
    warps = []
    for done, (size, method) in enumerate(WARPS):
        progress("warp", done, len(WARPS))
        warps.append(warp_rate(size, limits, method=method))
    regions = []
    for done, preset in enumerate(NETWORKS):
        progress("regions", done, len(NETWORKS))
        regions.append(region_rate(preset, device=device))
    rates, skipped = [], []
    shot = None
    with tempfile.TemporaryDirectory(prefix="understudy-bench-") as scratch:
        gathered, missing = _gather(Path(scratch), progress)
        for done, preset in enumerate(options.presets):
            progress("presets", done, len(options.presets))
            reason = _too_large(preset, device)
            if reason:
                skipped.append(SkippedPreset(preset=preset, reason=reason))
                continue
            rate, checkpoint = _preset(preset, device, limits, options.seconds, Path(scratch))
            rates.append(rate)
            if preset == "preview" and gathered is not None:
                shot = _shot(Path(scratch), checkpoint, progress)
        progress("presets", len(options.presets), len(options.presets))
    report = BenchReport(
        machine=machine(),
        limits=limits,
        gather=gathered,
        gather_missing=missing,
        shot_frames_per_second=shot,
        presets=tuple(rates),
        skipped=tuple(skipped),
        blend=blend,
        warps=tuple(warps),
        regions=tuple(regions),
        help=help_time,
    )
    if options.output is not None:
        write_json(options.output, plain(report))
    return report


def _gather(scratch: Path, progress: Progress) -> tuple[GatherRate | None, str]:
    """Follow, stabilise and crop the faces of some frames of a packaged clip."""
    from understudy.jobs.gather import gather
    from understudy.jobs.options_gather import GatherOptions
    from understudy.jobs.project import new_project
    from understudy.media.clip import open_clip
    from understudy.provenance.cast import Consent

    clip = resources.files("understudy.jobs") / "demo_media" / _CLIP
    if not clip.is_file():
        return None, f"the packaged clip {_CLIP} is not in this installation"
    project = new_project(scratch / "project", identities={"someone": Consent(synthetic=True)})
    with resources.as_file(clip) as path:
        options = GatherOptions(source=str(path), identity="someone", project=project.root, last=_CLIP_FRAMES)
        began = time.perf_counter()
        try:
            report = gather(options, progress)
        except UserError as error:  # no face models on this machine: everything else can still be measured
            return None, str(error)
        taken = time.perf_counter() - began
        with open_clip(path) as opened:
            width, height = opened.size
    return (
        GatherRate(
            frames=report.num_frames,
            width=width,
            height=height,
            faces_per_second=report.found / taken,
            seconds=dict(report.seconds),
        ),
        "",
    )


def _shot(scratch: Path, checkpoint: Path, progress: Progress) -> float | None:
    """Frames a second of a whole swap; the project's cache already holds the faces, as it does after gathering."""
    from understudy.jobs.options_swap import SwapOptions
    from understudy.jobs.shot import swap_shot

    with resources.as_file(resources.files("understudy.jobs") / "demo_media" / _CLIP) as path:
        options = SwapOptions(
            plate=str(path),
            identity="someone",
            run=str(checkpoint),
            output=scratch / "shot.mp4",
            project=scratch / "project",
            last=_CLIP_FRAMES,
        )
        began = time.perf_counter()
        report = swap_shot(options, progress)
        return report.num_frames / (time.perf_counter() - began)


def _recipe(preset: str) -> Recipe:
    """The preset's last and largest stage, from random weights."""
    from understudy import families

    recipe = families.get("comb").recipe(preset)
    return replace(recipe, start=None, stages=(replace(recipe.stages[-1], fade=0.0),))


def _preset(preset: str, device: str, limits: Limits, seconds: float, scratch: Path) -> tuple[PresetRate, Path]:
    """Train a few steps of the preset's last stage on random pictures, then swap random crops with the result."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from understudy import families
    from understudy.checkpoint import ModelCard, save_checkpoint
    from understudy.dataset.batches import Portion
    from understudy.training.growing import position_at
    from understudy.training.loop import Loop, LoopOptions

    recipe = _recipe(preset)
    stage = recipe.stages[0]
    people = ("someone", "another")
    family = families.get(recipe.family)

    def portions(count: int) -> list[Portion]:
        pictures = torch.rand(count, 3, stage.resolution, stage.resolution, device=device)
        weights = torch.ones(count, 1, stage.resolution, stage.resolution, device=device)
        pictures = pictures.to(memory_format=torch.channels_last)
        return [Portion(identity=name, inputs=pictures, targets=pictures, weights=weights) for name in people]

    run = scratch / preset
    loop = Loop(family.trainable(recipe, people, {}), recipe, _NoBatches(), run, LoopOptions(device=device))
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    loop.enter_stage(0)
    position = position_at(recipe.stages, 0)
    batch = portions(stage.batch)
    settle(device)
    began = time.perf_counter()
    # Counted on the batch that is timed: an optimiser may multiply matrices too, once a step whatever the batch.
    with FlopCounterMode(display=False) as counted:
        loop.step(batch, position)
    settle(device)
    first = time.perf_counter() - began
    train_flop = counted.get_total_flops() / (len(people) * stage.batch)
    found = times(lambda: loop.step(batch, position), device, seconds=seconds, least=1) if first < seconds else [first]
    pictures_per_second = stage.batch * len(people) / float(np.median(found))
    peak = torch.cuda.max_memory_allocated() / (1 << 30) if device.startswith("cuda") else None

    tensors, network = loop.checkpoint()
    checkpoint = run / "model.safetensors"
    save_checkpoint(checkpoint, tensors, ModelCard(family=recipe.family, preset=preset, network=network))
    precision = "bf16" if "bf16" in str(loop.fabric._precision.precision) else "float32"
    if loop.report is not None:
        loop.report.close()
    del loop, batch
    performer = family.performer(checkpoint, device=device)
    crops = np.random.default_rng(0).random((8, stage.resolution, stage.resolution, 3), np.float32)
    with FlopCounterMode(display=False) as counted:
        performer.swap(crops, people[0])
    swap_flop = counted.get_total_flops() / len(crops)
    taken = best_time(lambda: performer.swap(crops, people[0]), device, seconds=min(seconds, 3.0), least=1) / len(crops)
    limit = limits.matmul_gflops(precision) * 1e9
    rate = PresetRate(
        preset=preset,
        resolution=stage.resolution,
        precision=precision,
        batch=stage.batch,
        steps=len(found),
        training_pictures_per_second=pictures_per_second,
        training_gflop_per_picture=train_flop / 1e9,
        training_share=pictures_per_second * train_flop / limit,
        swap_frames_per_second=1 / taken,
        swap_gflop_per_frame=swap_flop / 1e9,
        swap_share=swap_flop / taken / limit,
        peak_gib=peak,
    )
    return rate, checkpoint


class _NoBatches:
    """Steps are given their pictures directly."""

    def batch(self, step: int, *, each: int, size: int) -> list[Any]:
        raise NotImplementedError

    def sample(self, *, each: int, size: int) -> list[Any]:
        raise NotImplementedError


def _too_large(preset: str, device: str) -> str | None:
    """A sentence if a training step of the preset would not fit into memory, by a cautious estimate."""
    recipe = _recipe(preset)
    stage = recipe.stages[0]
    widths = recipe.network["widths"]
    # Activations kept for the backward pass: about four maps a level in encoder and decoder, and their float32 masters.
    per_picture = sum(2 * 4 * width * (4 << level) ** 2 * 4 for level, width in enumerate(widths))
    weights = 16 * 3 * sum(9 * (a * a + a * b) * 2 for a, b in zip(widths, (*widths[1:], 3), strict=True))
    wanted = 2 * stage.batch * per_picture + weights
    free = _free_memory(device)
    if free is not None and wanted > 0.8 * free:
        return f"a step takes about {wanted / 1e9:.0f} GB and {free / 1e9:.0f} GB are free"
    return None


def _free_memory(device: str) -> int | None:
    if device.startswith("cuda"):
        import torch

        return torch.cuda.mem_get_info()[0]
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _blend(limits: Limits) -> BlendTime:
    from understudy.composite.blend import blend_multiband

    side = 1024
    random = np.random.default_rng(0)
    source, target = random.random((side, side, 3), np.float32), random.random((side, side, 3), np.float32)
    angle = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    polygon = np.stack([side / 2 + 0.3 * side * np.cos(angle), side / 2 + 0.35 * side * np.sin(angle)], axis=1)
    taken = best_time(lambda: blend_multiband(source, target, polygon=polygon), seconds=2.0)
    return BlendTime(seconds=taken, share=3 * source.nbytes / (limits.bandwidth_gbs * 1e9) / taken)
