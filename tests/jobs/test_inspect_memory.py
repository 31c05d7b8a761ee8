"""The memory's weights over faces: figures by hand, and the paper's nearly equal weights beside the centred ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from understudy.checkpoint import ModelCard, save_checkpoint
from understudy.dataset.labelled import Labelled, write_folder
from understudy.errors import CheckpointError, FaceError, OptionError
from understudy.faces.align import mean_mesh
from understudy.faces.boundary import load_topology
from understudy.families.boundary_vae.network import BoundaryNetwork, BoundarySettings
from understudy.families.boundary_vae.start import memory_bank
from understudy.jobs.inspect_memory import MemoryOptions, memory, spread_of

SETTINGS = BoundarySettings(
    topology=load_topology("face13"), size=32, widths=(4, 4), top_width=4, latent=4, clusters=3, weighting="centred"
)


def faces() -> np.ndarray:
    """(12, 478, 2) in the unit square: turned and opened differently."""
    numbers = np.random.default_rng(0)
    squeeze = np.stack([numbers.uniform(0.4, 0.7, 12), numbers.uniform(0.5, 0.8, 12)], 1)[:, None]
    return mean_mesh()[None, :, :2] * squeeze + (0.5, 0.5)


def save(path: Path, settings: BoundarySettings) -> Path:
    torch.manual_seed(0)
    network = BoundaryNetwork(settings)
    if settings.gmm:
        network.memory.remember(memory_bank(faces(), settings))
    card = ModelCard(
        family="boundary_vae", preset="tiny", network={"settings": settings.as_record()}, data="none", pictures=0
    )
    save_checkpoint(path, {k: v for k, v in network.state_dict().items() if k != "draws"}, card)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    entries = []
    for number in range(12):
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), np.full((16, 16, 3), 20 * number, np.uint8))
        entries.append(Labelled(picture=path, person=str(number), expression="any"))
    write_folder(tmp_path, entries)
    return tmp_path


def test_the_spread_by_hand():
    weights = np.array([[0.5, 0.5], [1.0, 0.0]])
    found = spread_of(weights, np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([0.5, 1.0]))
    assert found.effective == pytest.approx(1.5)
    assert found.largest == pytest.approx(0.75)
    assert found.spread == pytest.approx(0.25)
    assert found.prior_moves == pytest.approx(1.0)
    assert found.prior_deviation == pytest.approx((1 + 2**0.5) / 2)


def test_the_papers_weights_hardly_know_a_face(folder: Path):
    run = str(save(folder / "model.safetensors", SETTINGS))
    meshes = iter(faces() * 320)
    given = MemoryOptions(data=folder, run=run, output=folder / "memory.png")
    report = memory(given, find=lambda picture: None if picture.mean() < 5 else next(meshes))
    assert (report.pictures, report.unread, report.focal_points) == (11, 1, 3)
    assert report.sheet.is_file() and report.weighting == "centred"
    paper, centred = report.weightings["cosine"], report.weightings["centred"]
    assert paper.effective > 2.8 > 2.0 > centred.effective
    assert centred.spread > 5 * paper.spread
    assert centred.prior_moves > 5 * paper.prior_moves
    assert sum(report.shares) == pytest.approx(1, abs=1e-5)


def test_what_has_no_memory_is_said(folder: Path):
    run = str(save(folder / "plain.safetensors", replace(SETTINGS, gmm=False)))
    with pytest.raises(CheckpointError, match="without the mixture prior"):
        memory(MemoryOptions(data=folder, run=run), find=lambda picture: None)
    run = str(save(folder / "model.safetensors", SETTINGS))
    with pytest.raises(FaceError, match="0 show a face"):
        memory(MemoryOptions(data=folder, run=run), find=lambda picture: None)
    with pytest.raises(OptionError, match="--pictures"):
        MemoryOptions(data=folder, pictures=1)
