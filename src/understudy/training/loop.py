"""The training loop: one for all families.

It knows named phases, each with its own optimiser; the family's ``losses.py`` knows the mathematics. It knows the resolution
schedule; the family knows how to grow. A run's folder holds everything: run it again and it goes on with the same numbers.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from lightning_fabric import Fabric

from understudy.dataset.batches import Portion
from understudy.errors import InternalError
from understudy.family import Recipe, Trainable
from understudy.tensors import choose_device, fast_precision
from understudy.training.average import AveragedWeights
from understudy.training.growing import Position, position_at
from understudy.training.optimisers import make_optimisers
from understudy.training.report import RunReport
from understudy.training.resume import flatten_optimiser, load_state, restore_optimiser, save_state

STATE = "state.safetensors"
_LAYOUTS = {4: torch.channels_last}


class Batches(Protocol):
    """Where training pictures come from."""

    def batch(self, step: int, *, each: int, size: int) -> list[Portion]: ...

    def sample(self, *, each: int, size: int) -> list[Portion]: ...


@dataclass(frozen=True, kw_only=True)
class LoopOptions:
    """How a training runs; what it computes is the recipe's business."""

    device: str = "auto"
    devices: int = 1
    """Processes, one per device, started by torchrun when more than one."""
    minutes: float | None = None
    """Train this long in all, counting earlier stretches; the cooling at the end comes with the time. None trains the recipe to
    its end."""
    save_every: float = 120.0
    """Seconds between saves."""
    preview_every: float = 60.0
    """Seconds between previews."""


@dataclass(kw_only=True)
class LoopReport:
    """What a stretch of training did."""

    pictures: int
    steps: int
    seconds: float
    finished: bool
    stopped_by: str
    """``end``, ``minutes``, or the signal's name."""
    figures: dict[str, float] = field(default_factory=dict)
    pictures_per_second: float = 0.0
    """Over this stretch."""


class StopFlag:
    """Set by SIGINT or SIGTERM: the step in work is finished and everything saved. A second signal stops at once."""

    def __init__(self) -> None:
        self.reason = ""
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopFlag:
        # Signal handlers can only be set in the main thread; elsewhere the caller stops by minutes.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._stop)
        return self

    def _stop(self, number: int, _frame: object) -> None:
        if self.reason:
            raise KeyboardInterrupt
        self.reason = signal.Signals(number).name

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)


class Loop:
    """One training in one folder."""

    def __init__(self, trainable: Trainable, recipe: Recipe, batches: Batches, run: Path, options: LoopOptions) -> None:
        device = choose_device(options.device)
        precision = fast_precision(device) if recipe.precision == "auto" else recipe.precision
        self.fabric = Fabric(
            accelerator="gpu" if device.startswith("cuda") else device.split(":")[0],
            devices=options.devices,
            strategy="ddp" if options.devices > 1 else "auto",
            precision="bf16-mixed" if precision == "bf16" else "32-true",
        )
        self.fabric.launch()
        self.trainable, self.recipe, self.batches, self.run, self.options = trainable, recipe, batches, run, options
        self.pictures = 0
        self.steps = 0
        self.seconds = 0.0
        self.stage = -1
        self.average = AveragedWeights(half_life=recipe.ema_pictures)
        self.optimisers: dict[str, torch.optim.Optimizer] = {}
        self.report = RunReport(run) if self.fabric.is_global_zero else None

    # -- growing and resuming ---------------------------------------------------------------------------------------------

    def names(self) -> dict[int, str]:
        return {id(parameter): name for name, parameter in self.trainable.network.named_parameters()}

    def enter_stage(self, stage: int, state: Mapping[str, torch.Tensor] | None = None) -> None:
        """Grow to the stage's resolution; Adam's state of the parameters that stay is kept."""
        kept = dict(state) if state is not None else {}
        if state is None:
            names = self.names()
            for optimiser in self.optimisers.values():
                kept |= flatten_optimiser(names, optimiser)
        self.trainable.set_resolution(self.recipe.stages[stage].resolution)
        network = self.trainable.network
        network.to(self.fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimisers = make_optimisers(self.trainable, self.recipe)
        names = self.names()
        for optimiser in self.optimisers.values():
            restore_optimiser(names, optimiser, kept)
        if self.fabric.world_size > 1:
            self._distribute()
        self.average.follow(network)
        self.stage = stage

    def _distribute(self) -> None:
        # The first process' weights are everyone's; gradients are then averaged by hand in `step`, because phases and growing
        # change which parameters take part, which a wrapping module does not allow.
        for parameter in self.trainable.network.parameters():
            parameter.data.copy_(self.fabric.broadcast(parameter.data, src=0))

    def save(self) -> None:
        """State and weights, each whole or absent."""
        if not self.fabric.is_global_zero:
            return
        names = self.names()
        tensors = {f"network|{name}": value for name, value in self.trainable.network.state_dict().items()}
        tensors |= {f"average|{name}": value for name, value in self.average.tensors.items()}
        for phase, optimiser in self.optimisers.items():
            tensors |= {f"adam|{phase}|{key}": value for key, value in flatten_optimiser(names, optimiser).items()}
        values = {"pictures": self.pictures, "steps": self.steps, "stage": self.stage, "seconds": self.seconds}
        save_state(self.run / STATE, tensors, values)

    def resume(self) -> bool:
        """Go on where the folder says; False when it holds nothing yet."""
        path = self.run / STATE
        if not path.exists():
            return False
        tensors, values = load_state(path)
        part = lambda prefix: {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}  # noqa: E731
        # Growing step by step brings the same RGB layers to life as the first time.
        for stage in range(values["stage"] + 1):
            self.trainable.set_resolution(self.recipe.stages[stage].resolution)
        self.trainable.network.load_state_dict(part("network|"))
        self.pictures, self.steps = values["pictures"], values["steps"]
        self.seconds = values.get("seconds", 0.0)
        adam = {}
        for phase in self.trainable.phases():
            adam |= part(f"adam|{phase.name}|")
        self.enter_stage(values["stage"], adam)
        self.average.tensors = {k: v.to(self.fabric.device) for k, v in part("average|").items()}
        return True

    # -- training ---------------------------------------------------------------------------------------------------------

    def step(self, batch: Sequence[Portion], position: Position) -> dict[str, float]:
        """One step of every phase."""
        figures: dict[str, float] = {}
        for phase, every in [(phase.name, phase.every) for phase in self.trainable.phases()]:
            if self.steps % every:
                continue
            optimiser, slow = self.optimisers[phase], self.slowing(position)
            for group in optimiser.param_groups:
                group["lr"] = group["initial_lr"] * slow
            optimiser.zero_grad(set_to_none=True)
            with self.fabric.autocast():
                loss, parts = self.trainable.loss(phase, batch, position.fade)
            if not torch.isfinite(loss):
                raise InternalError(
                    f"{self.run}: the loss of phase {phase} is {float(loss.detach())} after {self.pictures} pictures; the last "
                    f"saved state is whole, go on from it with a lower learning rate or in float32."
                )
            self.fabric.backward(loss)
            trained = [parameter for group in optimiser.param_groups for parameter in group["params"]]
            if self.fabric.world_size > 1:
                for parameter in trained:
                    gradient = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
                    parameter.grad = self.fabric.all_reduce(gradient, reduce_op="mean")  # type: ignore[assignment]
            if self.recipe.gradient_norm > 0:
                torch.nn.utils.clip_grad_norm_(trained, self.recipe.gradient_norm)
            optimiser.step()
            figures[f"loss/{phase}"] = float(loss.detach())
            figures |= {name: float(value) for name, value in parts.items()}
        figures["fade"] = position.fade
        return figures

    def share(self) -> float:
        """Share of the minutes that is used up, 0 where there is no limit."""
        return self.seconds / (self.options.minutes * 60) if self.options.minutes else 0.0

    def slowing(self, position: Position) -> float:
        """Factor on the learning rate: up over the warm-up, 1, the recipe's drops, then down to a twentieth over the cool-down."""
        dropped = math.prod(factor for pictures, factor in self.recipe.drops if self.pictures >= pictures)
        if self.pictures < self.recipe.warm_up:
            return (self.pictures + 1) / self.recipe.warm_up
        if self.recipe.cool_down <= 0:
            return dropped
        into = (max(position.cooling, self.share()) - (1 - self.recipe.cool_down)) / self.recipe.cool_down
        return dropped * (1.0 - 0.95 * min(max(into, 0.0), 1.0))

    def train(self, progress: Callable[[str, int, int | None], None] = lambda *_: None) -> LoopReport:
        """Train until the recipe's end, the minutes' end or a signal."""
        self.fabric.seed_everything(self.recipe.seed, verbose=False)
        if not self.resume():
            self.enter_stage(0)
        started, first, before = time.monotonic(), self.pictures, self.seconds
        last_save = last_preview = started
        figures: dict[str, float] = {}
        finished = False
        # On the processor itself a second thread only gets in the way: convolutions wait for each other by spinning.
        overlap = self.fabric.device.type != "cpu"
        with StopFlag() as stop, ThreadPoolExecutor(1) as ahead:
            coming: Future[list[Portion]] | None = None
            coming_for: tuple[int, int] | None = None
            while True:
                position = position_at(self.recipe.stages, self.pictures)
                finished = position.finished
                self.seconds = before + time.monotonic() - started
                reason = stop.reason or ("minutes" if self.share() >= 1.0 else "")
                if finished or self._anyone(reason):
                    reason = "end" if finished else reason or "another process"
                    break
                while position.stage > self.stage:
                    self.enter_stage(self.stage + 1)
                stage = self.recipe.stages[position.stage]
                arguments = {"each": stage.batch, "size": stage.resolution}
                if coming is None or coming_for != (self.steps, position.stage):
                    portions = self.batches.batch(self.steps, **arguments)
                else:
                    portions = coming.result()
                if overlap:
                    # The next step's pictures are read and moved while this one computes.
                    coming = ahead.submit(self.batches.batch, self.steps + 1, **arguments)
                    coming_for = (self.steps + 1, position.stage)
                batch = [self._to_device(portion) for portion in portions]
                figures = self.step(batch, position)
                seen = sum(len(portion.inputs) for portion in batch) * self.fabric.world_size
                self.steps += 1
                self.pictures += seen
                self.average.update(self.trainable.network, seen)
                progress("train", min(self.pictures, self.recipe.pictures), self.recipe.pictures)
                now = time.monotonic()
                if self.report is not None:
                    self.report.add(self.pictures, figures)
                    if now - last_preview > self.options.preview_every:
                        self.preview(position)
                        last_preview = now
                if now - last_save > self.options.save_every:
                    self.save()
                    last_save = now
        self.save()
        if self.report is not None:
            self.preview(position_at(self.recipe.stages, self.pictures))
            self.report.close()
        seconds = time.monotonic() - started
        return LoopReport(
            pictures=self.pictures,
            steps=self.steps,
            seconds=seconds,
            finished=finished,
            stopped_by=reason,
            figures=figures,
            pictures_per_second=(self.pictures - first) / max(seconds, 1e-9),
        )

    def preview(self, position: Position) -> None:
        """A picture grid of the averaged weights, on disk and in TensorBoard."""
        if self.report is None:
            return
        size = self.recipe.stages[self.stage].resolution
        sample = [self._to_device(portion) for portion in self.batches.sample(each=2, size=size)]
        with self.average.in_place_of(self.trainable.network), self.fabric.autocast():
            self.report.picture(self.pictures, self.trainable.preview(sample, position.fade))

    def checkpoint(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Averaged weights and the family's settings, for a performer."""
        with self.average.in_place_of(self.trainable.network):
            tensors, card = self.trainable.checkpoint()
            return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}, dict(card)

    def _anyone(self, reason: str) -> bool:
        """All processes stop at the same step when one is told to."""
        if self.fabric.world_size == 1:
            return bool(reason)
        told = self.fabric.all_reduce(torch.tensor(float(bool(reason)), device=self.fabric.device), reduce_op="sum")
        return float(told) > 0  # type: ignore[arg-type]

    def _to_device(self, portion: Portion) -> Portion:
        device = self.fabric.device
        return portion.moved(lambda x: x.to(device, memory_format=_LAYOUTS.get(x.ndim, torch.preserve_format)))
