"""SEAN in the place of RGI: sizes, its normalisation by hand, and a small one through everything that reads a checkpoint."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from understudy import families
from understudy.checkpoint import ModelCard, save_checkpoint
from understudy.dataset.batches import Portion
from understudy.errors import CheckpointError, OptionError
from understudy.faces.regions import Region
from understudy.families.regional_inversion.encoder import one_hot
from understudy.families.regional_inversion.inversion_training import InversionNetwork, InversionTrainable
from understudy.families.regional_inversion.network import RegionalInversion, inversion_of
from understudy.families.regional_inversion.perform import RegionalPerformer
from understudy.families.regional_inversion.places import RegionMaps
from understudy.families.regional_inversion.recipes import GENERATOR, INVERSION
from understudy.families.regional_inversion.sean import (
    SHRUNK,
    STYLED,
    WIDTHS,
    RegionNorm,
    Sean,
    Shown,
    SpectralConv,
)
from understudy.families.regional_inversion.settings import NUM_REGIONS, RegionalSettings, settings_of
from understudy.families.regional_inversion.start import load_inversion, start
from understudy.families.regional_inversion.test_inversion import GAN_TERMS, OWN, OWN_TERMS, count, tiny_recipe
from understudy.families.regional_inversion.test_inversion import portion as small_portion
from understudy.family import FaceParts, Recipe, Stage

FAMILY = families.get("regional_inversion")
TINY = RegionalSettings(
    architecture="sean",
    size=64,
    widest=8,
    channel_base=512,
    latent=6,
    sean_width=2,
    sean_hidden=5,
    sean_encoder_width=3,
    encoder_size=64,
    pooling="area",
)


def portion(seed: int = 0) -> Portion:
    return small_portion(batch=2, seed=seed, size=64)


# -- sizes -------------------------------------------------------------------------------------------------------------------


def published_count(regions: int) -> int:
    """Of encoder and generator for so many regions, layer by layer from the publication's widths."""
    conv = lambda inputs, outputs, kernel=3, bias=True: inputs * outputs * kernel**2 + bias * outputs  # noqa: E731
    mask = lambda channels: conv(regions, 128) + 2 * conv(128, channels)  # noqa: E731
    style = lambda channels: 2 + regions * conv(512, 512, 1) + 2 * conv(512, channels)  # noqa: E731
    encoder = conv(3, 32) + conv(32, 64) + conv(64, 128) + conv(128, 256) + conv(256, 512)
    blocks = 0
    for index, (inputs, outputs) in enumerate(
        ((1024, 1024), (1024, 1024), (1024, 1024), (1024, 512), (512, 256), (256, 128), (128, 64))
    ):
        blocks += conv(inputs, outputs) + conv(outputs, outputs)
        normed = [inputs, outputs]
        if inputs != outputs:
            blocks += conv(inputs, outputs, 1, bias=False)
            normed.append(inputs)
        blocks += sum(channels + mask(channels) + (style(channels) if index < 6 else 0) for channels in normed)
    return encoder + conv(regions, 1024) + blocks + conv(64, 3)


def test_sizes_of_the_published_network() -> None:
    settings = settings_of(FAMILY.recipe("sean-256", stage=INVERSION).network)
    assert (settings.size, settings.latent, settings.encoder_size) == (256, 512, 256)
    with torch.device("meta"):
        network = Sean(settings)
        regions = RegionMaps(torch.zeros(2, 512, 512, dtype=torch.uint8))
        codes = network.codes(network.vectors(torch.zeros(2, 3, 256, 256), regions))
        assert codes.shape == (2, 12, 512)
        assert network.G(codes, regions).shape == (2, 3, 256, 256)
    learned = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    assert learned == published_count(12)
    # With the 19 classes that the public code has for faces, the same sum.
    assert round(published_count(19) / 1e6, 1) == 266.9
    # 8², 16² twice, 32², 64², 128², 256²; a third normalisation where the width changes.
    assert [256 // shrunk for shrunk in SHRUNK] == [8, 16, 16, 32, 64, 128, 256]
    assert network.G.noise_sides() == [8, 8, 16, 16, 16, 16, *[32] * 3, *[64] * 3, *[128] * 3, *[256] * 3]


def test_the_preview_is_as_large_as_the_other_preview() -> None:
    ours, theirs = (
        settings_of(FAMILY.recipe(preset, stage=INVERSION).network) for preset in ("preview-sean", "preview")
    )
    with torch.device("meta"):
        sizes = [count(inversion_of(settings)) for settings in (ours, theirs)]
        assert isinstance(inversion_of(ours), Sean) and isinstance(inversion_of(theirs), RegionalInversion)
        assert count(InversionNetwork(ours).D) == count(InversionNetwork(theirs).D)
    assert sizes[0] == pytest.approx(sizes[1], rel=0.05)
    same = (
        "losses",
        "stages",
        "optimiser",
        "learning_rate",
        "betas",
        "warm_up",
        "cool_down",
        "ema_pictures",
        "precision",
    )
    recipes = [FAMILY.recipe(preset, stage=INVERSION) for preset in ("preview-sean", "preview")]
    assert all(getattr(recipes[0], name) == getattr(recipes[1], name) for name in same)
    assert len(WIDTHS) == len(SHRUNK) == STYLED + 1


# -- parts by hand -----------------------------------------------------------------------------------------------------------


def random_norm(*, styled: bool) -> RegionNorm:
    torch.manual_seed(1)
    norm = RegionNorm(4, TINY, styled=styled).eval()
    for parameter in norm.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter)
    norm.normal.running_mean.copy_(torch.randn(4))
    norm.normal.running_var.copy_(torch.rand(4) + 0.5)
    return norm


@pytest.mark.parametrize("styled", [True, False])
@torch.no_grad()
def test_normalisation_is_the_published_sum(styled: bool) -> None:
    """Against the map of styles laid out pixel by pixel and convolved as a whole."""
    norm = random_norm(styled=styled)
    labels = torch.randint(0, 12, (2, 8, 8), dtype=torch.uint8)
    regions, x, noise, styles = (
        RegionMaps(labels),
        torch.randn(2, 4, 8, 8),
        torch.randn(2, 1, 8, 8),
        torch.randn(2, 12, 6),
    )
    made = norm(x, styles, Shown(regions, x), noise)
    noisy = x + norm.noise.view(1, 4, 1, 1) * noise
    mean, variance = (t.view(1, 4, 1, 1) for t in (norm.normal.running_mean, norm.normal.running_var))
    plain = (noisy - mean) / (variance + 1e-5).sqrt()
    gamma, beta = norm.mask(functional.relu(norm.shared(one_hot(labels)))).split(4, 1)
    if styled:
        laid = torch.zeros(2, 6, 8, 8)
        for b, y, x_ in np.ndindex(2, 8, 8):
            j = int(labels[b, y, x_])
            laid[b, :, y, x_] = functional.relu(norm.A[j] @ styles[b, j] + norm.A_bias[j])
        of_style = norm.style(laid).split(4, 1)
        a, b = torch.sigmoid(norm.blend)
        gamma, beta = a * of_style[0] + (1 - a) * gamma, b * of_style[1] + (1 - b) * beta
    torch.testing.assert_close(made, (1 + gamma) * plain + beta, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_normalisation_by_hand() -> None:
    """One channel, one region: γ = ½ 9 A s + ½ 2 and β = ½ 0 + ½ 4 away from the edge, with A = 2 and s = 0.5."""
    settings = replace(TINY, latent=1, sean_hidden=1)
    norm = RegionNorm(1, settings, styled=True).eval()
    for parameter in norm.parameters():
        nn.init.zeros_(parameter)
    norm.normal.running_var.fill_(4.0 - 1e-5)
    norm.normal.running_mean.fill_(1.0)
    norm.noise.fill_(3.0)
    norm.A.fill_(2.0)
    norm.style.weight[0] = 1.0
    norm.mask.bias = nn.Parameter(torch.tensor([2.0, 4.0]))
    x = torch.full((1, 1, 4, 4), 2.0)
    shown = Shown(RegionMaps(torch.full((1, 4, 4), 6, dtype=torch.uint8)), x)
    made = norm(x, torch.full((1, 12, 1), 0.5), shown, torch.ones(1, 1, 4, 4))
    # (2 + 3 - 1) / 2 = 2; in the middle nine pixels have 2 · 0.5 = 1, in a corner four.
    assert made[0, 0, 1, 1].item() == pytest.approx((1 + 4.5 + 1) * 2 + 2)
    assert made[0, 0, 0, 0].item() == pytest.approx((1 + 2 + 1) * 2 + 2)


def test_a_convolution_has_the_largest_singular_value_1() -> None:
    torch.manual_seed(0)
    conv = SpectralConv(5, 7, 3)
    x = torch.randn(2, 5, 6, 6)
    for _ in range(200):
        conv(x)
    sigma = torch.linalg.matrix_norm(conv.conv.weight.flatten(1), 2)
    wanted = functional.conv2d(x, conv.conv.weight / sigma, conv.conv.bias, padding=1)
    torch.testing.assert_close(conv(x), wanted, atol=1e-4, rtol=1e-4)
    before = conv.eval().u.clone()
    conv(x)
    assert torch.equal(conv.u, before), "at work nothing changes"


def test_a_region_that_is_not_there_has_no_style() -> None:
    torch.manual_seed(0)
    network = Sean(TINY).eval()
    shown = portion()
    assert shown.regions is not None
    regions = RegionMaps(shown.regions)
    vectors = network.vectors(shown.targets * 2 - 1, regions)
    there = [bool((shown.regions == region).any()) for region in range(NUM_REGIONS)]
    assert vectors.flatten(2).any(2).any(0).tolist() == there
    assert vectors.abs().max() < 1, "tanh"
    other = vectors.clone()
    other[:, Region.EARRINGS] = 5.0
    torch.testing.assert_close(network.G(other, regions), network.G(vectors, regions))
    other[:, Region.EYES] = 5.0
    assert not torch.allclose(network.G(other, regions), network.G(vectors, regions))


# -- training and checkpoints ------------------------------------------------------------------------------------------------


def test_every_parameter_has_a_gradient() -> None:
    torch.manual_seed(0)
    subject = InversionTrainable(InversionNetwork(TINY), OWN)
    network = subject.whole.inversion
    for name, parameter in network.named_parameters():
        if name.endswith(("running_mean", "running_var")):
            continue
        if not parameter.any():  # noise, blends and biases begin at 0, which is no reason to stay there
            nn.init.normal_(parameter, std=0.1)
    groups = subject.parameter_groups("inversion")
    grouped = {id(parameter) for parameters in groups.values() for parameter in parameters}
    # All twelve regions are on the picture: each has transforms of its own.
    shown = portion()
    regions = (torch.arange(64)[:, None] // 16 * 4 + torch.arange(64) // 16).clamp_max(11).expand(2, 64, 64)
    loss, _ = subject.loss("inversion", [replace(shown, regions=regions.to(torch.uint8).contiguous())], 1.0)
    loss.backward()
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            assert id(parameter) not in grouped
            continue
        assert id(parameter) in grouped
        assert parameter.grad is not None and parameter.grad.any(), name
    transforms = dict(network.named_parameters())[f"G.blocks.{STYLED - 1}.norm_0.A"].grad
    assert transforms is not None and all(row.any() for row in transforms)


def sean_recipe(**changes: Any) -> Recipe:
    recipe = tiny_recipe(INVERSION, OWN_TERMS, 4, **changes)
    network = {**asdict(TINY), "stage": INVERSION, "noise": "random"}
    return replace(recipe, network=network, stages=(Stage(resolution=64, pictures=4, batch=2),))


def save(subject: InversionTrainable, path: Path) -> Path:
    tensors, network = subject.checkpoint()
    save_checkpoint(path, tensors, ModelCard(family="regional_inversion", preset="preview-sean", network=network))
    return path


def trained(tmp_path: Path) -> tuple[InversionTrainable, Path]:
    subject = start(sean_recipe())
    assert isinstance(subject, InversionTrainable)
    for _ in range(3):  # so that statistics are no longer those of the beginning
        subject.loss("inversion", [portion()], 1.0)
    return subject, save(subject, tmp_path / "sean.safetensors")


def test_a_checkpoint_is_read_and_gone_on_from(tmp_path: Path) -> None:
    subject, path = trained(tmp_path)
    state = subject.whole.inversion.state_dict()
    torch.testing.assert_close(load_inversion(path).state_dict(), state)
    again = start(sean_recipe(start=str(path), seed=5))
    assert isinstance(again, InversionTrainable)
    torch.testing.assert_close(again.whole.inversion.state_dict(), state)
    torch.testing.assert_close(again.whole.D.state_dict(), subject.whole.D.state_dict())
    other = sean_recipe(start=str(path))
    with pytest.raises(CheckpointError, match="another sean_width"):
        start(replace(other, network={**other.network, "sean_width": 3}))
    with pytest.raises(CheckpointError, match="another architecture"):
        start(replace(other, network={**other.network, "architecture": "rgi"}))


def test_a_generator_is_no_start_for_sean(tmp_path: Path) -> None:
    recipe = tiny_recipe(GENERATOR, GAN_TERMS, 4)
    shape = {name: getattr(TINY, name) for name in ("size", "widest", "channel_base", "latent", "mapping_layers")}
    gan = start(replace(recipe, network={**recipe.network, **shape}))
    tensors, network = gan.checkpoint()
    path = tmp_path / "generator.safetensors"
    save_checkpoint(path, tensors, ModelCard(family="regional_inversion", preset="preview", network=network))
    with pytest.raises(CheckpointError, match="trains SEAN, which has none"):
        start(sean_recipe(start=str(path)))


def test_old_cards_are_of_the_papers_network() -> None:
    card = {name: value for name, value in asdict(RegionalSettings()).items() if not name.startswith(("arch", "sean"))}
    assert isinstance(settings_of(card), RegionalSettings) and settings_of(card).architecture == "rgi"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"architecture": "spade"}, "must be rgi or sean"),
        ({"architecture": "sean", "size": 32}, "64 or more for sean"),
        ({"sean_hidden": 0}, "sean_hidden 0"),
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        RegionalSettings(**wrong)


def test_looking_at_a_training_changes_nothing() -> None:
    subject = InversionTrainable(InversionNetwork(TINY), OWN)
    before = {name: value.clone() for name, value in subject.network.state_dict().items()}
    grid = subject.preview([portion()], 1.0)
    assert grid.shape[-1] == 3 and subject.whole.inversion.training
    torch.testing.assert_close(subject.network.state_dict(), before, rtol=0, atol=0)


# -- at work -----------------------------------------------------------------------------------------------------------------


def face(seed: int) -> tuple[np.ndarray, np.ndarray]:
    numbers = np.random.default_rng(seed)
    regions = np.zeros((64, 64), np.uint8)
    regions[12:56, 12:52] = Region.SKIN
    regions[24:30, 18:46] = Region.EYES
    return numbers.random((12, 3)).astype(np.float32)[regions], regions


def test_a_swap_by_region(tmp_path: Path) -> None:
    """Through what swap, edit and evaluate ask of any checkpoint."""
    _, path = trained(tmp_path)
    editor = FAMILY.editor(path, device="cpu")
    crops, maps = (np.stack(parts) for parts in zip(face(0), face(1), strict=True))
    textures = editor.read(crops, maps)
    assert textures.values.shape == (2, 12, 6)
    np.testing.assert_array_equal(editor.read(crops[1:], maps[1:]).values[0], textures.values[1])
    target, driven = (FaceParts(regions=maps[k], values=textures.values[k], shown=textures.shown[k]) for k in range(2))
    joined = editor.join(target, driven, regions=["eyes"])
    np.testing.assert_allclose(joined.values[Region.EYES], driven.values[Region.EYES], rtol=1e-5)
    np.testing.assert_array_equal(joined.values[Region.SKIN], target.values[Region.SKIN])
    own = editor.make(target.values[None], maps[:1])[0]
    made = editor.make(joined.values[None], joined.regions[None])[0]
    assert made.shape == (64, 64, 3) and made.min() >= 0 and made.max() <= 1
    np.testing.assert_array_equal(made, editor.make(joined.values[None], joined.regions[None])[0])  # noise is fixed
    changed = np.abs(made - own).sum(-1)
    assert changed[24:30, 18:46].mean() > 2 * changed[:12].mean()


def test_textures_are_fitted_to_a_picture(tmp_path: Path) -> None:
    _, path = trained(tmp_path)
    editor = RegionalPerformer(path, device="cpu")
    crop, regions = face(0)
    begin = editor.read(crop[None], regions[None]).values[0]
    fitted, curve = editor.optimise(crop, regions, begin, steps=5, rate=0.05)
    assert fitted.shape == begin.shape and min(curve) < curve[0]
