"""Training the autoencoder on a project's faces by the house's own loop, and the result at work."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from understudy import __version__
from understudy.checkpoint import ModelCard, load_checkpoint, save_checkpoint
from understudy.dataset.augment import AugmentSettings
from understudy.dataset.batches import FaceSetPictures, IdentityBatches, Portion, generator_for
from understudy.dataset.face_set import FaceSet
from understudy.family import Recipe, Stage, SwapResult, checkpoint_path
from understudy.jobs.baselines.autoencoder import Autoencoder, AutoencoderSettings, AutoencoderTrainable
from understudy.jobs.project import Project, require_consent
from understudy.provenance.record import machine
from understudy.tensors import choose_device, fast_precision
from understudy.training.loop import Loop, LoopOptions, LoopReport

NAME = "autoencoder"
GRID, JITTER, MIRRORED = 5, 5 / 160, 0.4
"""The published warp: a grid of 5 x 5 points over the crop, each moved by a normal 5 of 160 pixels; and how many are mirrored."""
_CHUNK = 4  # pictures in one pass, always: a frame's pixels do not depend on its neighbours

Progress = Callable[[str, int, int | None], None]


def random_warp(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """(B, C, s, s) bent by a smooth random field: a normal displacement at each of 5 x 5 points, spread bicubically.

    align_corners=False throughout; what comes from outside repeats the edge.
    """
    batch, size = len(pictures), pictures.shape[-1]
    points = torch.randn(batch, 2, GRID, GRID, generator=generator) * (2 * JITTER)  # the sampling grid's side is 2
    field = functional.interpolate(points, size=(size, size), mode="bicubic", align_corners=False)
    identity = torch.eye(2, 3).expand(batch, 2, 3)
    grid = functional.affine_grid(identity, [batch, 1, size, size], align_corners=False)
    return functional.grid_sample(
        pictures, grid + field.permute(0, 2, 3, 1), mode="bilinear", padding_mode="border", align_corners=False
    )


class WarpedBatches(IdentityBatches):
    """The house's batches with mirrored pictures and warped inputs; like them a function of seed and step."""

    def batch(self, step: int, *, each: int, size: int) -> list[Portion]:
        """``each`` pictures of every identity at ``size`` pixels."""
        _, generator = generator_for(self.seed + 1, step, self.rank)
        portions = []
        for portion in super().batch(step, each=each, size=size):
            mirrored = (torch.rand(each, generator=generator) < MIRRORED)[:, None, None, None]
            turned = portion.moved(lambda x, where=mirrored: torch.where(where, x.flip(3), x))
            portions.append(replace(turned, inputs=random_warp(turned.inputs, generator)))
        return portions


@dataclass(frozen=True, kw_only=True)
class AutoencoderTraining:
    """What :func:`train_autoencoder` did."""

    checkpoint: Path
    loop: LoopReport


def train_autoencoder(
    project: Project,
    identities: Sequence[str],
    run: Path,
    *,
    minutes: float,
    settings: AutoencoderSettings | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = lambda *_: None,
) -> AutoencoderTraining:
    """Train on the project's face sets for ``minutes`` in all; the same call goes on where the run's folder says.

    The published learning rate, 5e-5 with Adam's beta 0.5, is meant for days; in minutes twice of it learns more and stays stable.

    Raises:
        DatasetError: faces are missing. ConsentError: somebody may not be trained on.
    """
    settings = settings or AutoencoderSettings()
    consents = {name: require_consent(name, "train", project=project) for name in identities}
    sets = [FaceSet.open(project.faces(name)) for name in identities]
    recipe = Recipe(
        family=NAME,
        preset=f"{settings.size}",
        network=asdict(settings),
        stages=(Stage(resolution=settings.size, pictures=100_000_000, batch=8, fade=0.0),),
        learning_rate=1e-4,
        betas=(0.5, 0.999),
        gradient_norm=0.0,
        ema_pictures=0,
        augment=AugmentSettings(shift=0.05, scale=0.05, rotation=10.0, noise=0.0),
        seed=seed,
    )
    try:
        sources = {
            name: FaceSetPictures(face_set, min(face_set.size, 2 * settings.size))
            for name, face_set in zip(identities, sets, strict=True)
        }
        torch.manual_seed(seed)
        trainable = AutoencoderTrainable(Autoencoder(settings, identities))
        batches = WarpedBatches(sources, augment=recipe.augment, seed=seed)
        run.mkdir(parents=True, exist_ok=True)
        loop = Loop(trainable, recipe, batches, run, LoopOptions(device=device, minutes=minutes))
        report = loop.train(progress)
        tensors, network = loop.checkpoint()
        card = ModelCard(
            family=NAME,
            preset=recipe.preset,
            network=network,
            data=", ".join(f"{name}: {len(source)} pictures" for name, source in sources.items()),
            pictures=report.pictures,
            consent={name: consent.as_record() for name, consent in consents.items()},
            machine=json.dumps(machine()),
            date=date.today().isoformat(),
            figures=report.figures,
            version=__version__,
        )
        save_checkpoint(checkpoint_path(run), tensors, card)
    finally:
        for face_set in sets:
            face_set.close()
    return AutoencoderTraining(checkpoint=checkpoint_path(run), loop=report)


class AutoencoderPerformer:
    """A trained autoencoder, ready to swap (see ``understudy.family.Performer``)."""

    def __init__(self, checkpoint: Path | str, *, device: str = "auto") -> None:
        """
        Raises:
            CheckpointError: not an autoencoder's weights.
        """
        tensors, card = load_checkpoint(checkpoint, family=NAME)
        settings = AutoencoderSettings(**card.network["settings"])
        self.identities: tuple[str, ...] = tuple(card.network["identities"])
        self.size = settings.size
        self.device = choose_device(device)
        self.network = Autoencoder(settings, self.identities)
        self.network.load_state_dict(tensors)
        self.network.eval().requires_grad_(False).to(self.device)

    @torch.inference_mode()
    def swap(self, crops: np.ndarray, identity: str) -> SwapResult:
        """(B, size, size, 3) float32 RGB in [0, 1] -> the same performances by ``identity``."""
        answers = []
        for first in range(0, len(crops), _CHUNK):
            part = np.asarray(crops[first : first + _CHUNK], np.float32)
            filled = np.concatenate([part, np.repeat(part[-1:], _CHUNK - len(part), 0)])
            shown = torch.from_numpy(filled).permute(0, 3, 1, 2).contiguous().to(self.device)
            with torch.autocast(
                self.device.split(":")[0], torch.bfloat16, enabled=fast_precision(self.device) == "bf16"
            ):
                answer = self.network(shown, identity)
            answers.append(answer[: len(part)].float().permute(0, 2, 3, 1).cpu().numpy())
        return SwapResult(crops=np.ascontiguousarray(np.concatenate(answers)))
