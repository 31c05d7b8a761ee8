"""Encoder, losses, trainings and starts of regional inversion, against hand-worked values and small trainings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from understudy import families
from understudy.checkpoint import ModelCard, save_checkpoint
from understudy.dataset.adapters import celebamask
from understudy.dataset.batches import Portion
from understudy.dataset.region_crops import RegionCrops, RegionEntry, read_region_folder
from understudy.errors import CheckpointError, DatasetError, OptionError, WeightsError
from understudy.families.regional_inversion.adaptive import AdaptiveProbability, augmented, draw_colour, draw_geometry
from understudy.families.regional_inversion.generator import Generator
from understudy.families.regional_inversion.generator_training import (
    GanNetwork,
    GeneratorLosses,
    GeneratorTrainable,
    path_lengths,
    r1_penalty,
)
from understudy.families.regional_inversion.inversion_training import InversionNetwork, InversionTrainable
from understudy.families.regional_inversion.judges import Judges, ParserFeatures, distances, find_judges
from understudy.families.regional_inversion.losses import InversionLosses, gram, reconstruction_loss
from understudy.families.regional_inversion.network import RegionalInversion, mean_latent
from understudy.families.regional_inversion.parsing_network import BiSeNet, ParserSettings
from understudy.families.regional_inversion.places import RegionMaps
from understudy.families.regional_inversion.recipes import GENERATOR, INVERSION
from understudy.families.regional_inversion.settings import RegionalSettings, settings_of
from understudy.families.regional_inversion.start import batches, load_inversion, start
from understudy.family import Recipe, Stage, Trainable

FAMILY = families.get("regional_inversion")
TINY = RegionalSettings(
    size=16,
    widest=8,
    channel_base=128,
    latent=8,
    mapping_layers=2,
    regional_layers=3,
    encoder_size=32,
    encoder_widths=(4, 4, 8, 8, 8),
    encoder_blocks=(1, 1, 1, 1),
)
OWN = InversionLosses(lpips=0, identity=0, parsing=0, l1=1.0, features=0.5, discriminator_every=2)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def portion(batch: int = 4, seed: int = 0, size: int = 16) -> Portion:
    numbers = torch.Generator().manual_seed(seed)
    regions = torch.zeros(batch, size, size, dtype=torch.uint8)
    regions[:, size // 4 :, size // 4 :] = 6
    regions[:, size // 2 : size // 2 + 2, size // 2 :] = 3
    tint = torch.rand(batch, 12, 3, generator=numbers)
    pictures = tint[torch.arange(batch)[:, None, None], regions.long()].permute(0, 3, 1, 2).contiguous()
    weights = (regions == 3)[:, None].float()
    return Portion(identity="people", inputs=pictures, targets=pictures, weights=weights, regions=regions)


# -- encoder and codes -------------------------------------------------------------------------------------------------------


def test_sizes_of_the_papers_networks() -> None:
    with torch.device("meta"):
        network = RegionalInversion(RegionalSettings())
        regions = RegionMaps(torch.zeros(2, 512, 512, dtype=torch.uint8))
        vectors = network.vectors(torch.zeros(2, 3, 1024, 1024), regions)
        assert vectors.shape == (2, 12, 1280)
        assert network.codes(vectors).shape == (2, 12, 18, 512)
        assert network.encoder.taps == [6, 20, 23]
        # 12 x (1280 x 512 + 512 + 512 x 13 · 512 + 13 · 512)
        assert count(network.MLPs) == 12 * (1280 * 512 + 512 + 512 * 6656 + 6656) == 48_844_800
        assert count(network.encoder) == sum(
            # Two 3x3 convolutions, a slope a channel, squeeze and excitation, and where the width changes a 1x1 shortcut.
            9 * i * o + 9 * o * o + o + 2 * o * (o // 16) + (i * o if i != o else 0)
            for inputs, o, blocks in ((64, 128, 3), (128, 256, 4), (256, 512, 14), (512, 512, 3))
            for i in [inputs] + [o] * (blocks - 1)
        ) + (27 * 64 + 64)
        # All of the generator but the mapping network, four convolutions and three colour layers.
        left = [*network.G.style.parameters()]
        left += [p for k in range(12, 16) for p in network.G.convs[k].parameters()]
        left += [p for k in (5, 6, 7) for p in network.G.to_rgbs[k].parameters()]
        assert sum(p.numel() for p in network.tuned()) == count(network.G) - sum(p.numel() for p in left)


def test_a_region_is_the_mean_of_its_pixels_and_nothing_where_it_is_not() -> None:
    """Eq. 2 by hand."""
    network = RegionalInversion(TINY)
    feature = torch.arange(16.0).view(1, 1, 4, 4)
    labels = torch.zeros(1, 4, 4, dtype=torch.uint8)
    labels[0, 1, 1:3] = 3
    pooled = network.encoder.pooled(feature, RegionMaps(labels))[0, :, 0]
    assert pooled[3] == (5 + 6) / 2
    torch.testing.assert_close(pooled[0], (feature.sum() - 11) / 14)
    assert pooled[1] == pooled[11] == 0


def test_by_area_no_region_is_lost_where_maps_shrink() -> None:
    labels = torch.zeros(1, 8, 8, dtype=torch.uint8)
    labels[0, 1, 1] = 3
    feature = torch.arange(4.0).view(1, 1, 2, 2) + 1
    lost = RegionalInversion(TINY).encoder.pooled(feature, RegionMaps(labels))[0, 3, 0]
    kept = RegionalInversion(replace(TINY, pooling="area")).encoder.pooled(feature, RegionMaps(labels))[0, 3, 0]
    assert lost == 0
    torch.testing.assert_close(kept, torch.tensor(1.0))


def test_codes_are_the_mean_code_and_what_each_regions_mlp_adds() -> None:
    """Eq. 3; layers from K on are the mean code."""
    network = RegionalInversion(TINY)
    network.latent_avg.copy_(torch.randn(TINY.layers, 8))
    vectors = torch.randn(2, 12, network.encoder.length)
    codes = network.codes(vectors)
    torch.testing.assert_close(codes[:, :, 3:], network.latent_avg[3:].expand(2, 12, -1, -1))
    added = network.MLPs[5](vectors[:, 5]).view(2, 3, 8)
    torch.testing.assert_close(codes[:, 5, :3], added + network.latent_avg[:3])
    changed = vectors.clone()
    changed[:, 5] += 1
    moved = (network.codes(changed) != codes).flatten(2).any(2).any(0)
    assert moved.tolist() == [region == 5 for region in range(12)]


def test_a_texture_is_carried_to_another_shape() -> None:
    """A picture's codes, worn by another picture's map, change only what they are asked for."""
    network = RegionalInversion(TINY)
    shown = portion()
    assert shown.regions is not None
    regions = RegionMaps(shown.regions)
    made, codes = network(shown.targets * 2 - 1, regions)
    assert made.shape == (4, 3, 16, 16)
    assert codes.shape == (4, 12, TINY.layers, 8)
    torch.testing.assert_close(network.G(codes, regions), made)


def test_the_mean_latent_is_what_many_draws_average_to() -> None:
    torch.manual_seed(0)
    generator = Generator(TINY)
    mean = mean_latent(generator, count=4096)
    others = generator.map(torch.randn(20_000, 8)).mean(0)
    torch.testing.assert_close(mean, others, atol=0.05, rtol=0)
    assert torch.equal(mean, mean_latent(generator, count=4096))


# -- losses ------------------------------------------------------------------------------------------------------------------


class Shifted(nn.Module):
    """Stands in for a discriminator: its score is a plain sum."""

    def forward(self, pictures: Tensor) -> Tensor:
        return (pictures * torch.tensor([1.0, 2.0, 2.0])[:, None, None]).sum((1, 2, 3))[:, None]


def test_r1_is_the_squared_slope() -> None:
    # Every pixel's slope is (1, 2, 2), whose square is 9.
    assert r1_penalty(Shifted(), torch.randn(3, 3, 4, 4)).item() == pytest.approx(9 * 16)  # type: ignore[arg-type]


def test_path_lengths_by_hand() -> None:
    """G(w)_c = Σ_l a_lc w_l: J^T y = a y."""
    a = torch.randn(2, 3)  # layers, channels
    codes = torch.randn(4, 2, 5, requires_grad=True)
    pictures = torch.einsum("lc,bl->bc", a, codes[:, :, 0])[:, :, None, None]
    directions = torch.randn(4, 3, 1, 1)
    slope = directions[:, :, 0, 0] @ a.T  # (B, layers), of the first of five numbers a layer
    torch.testing.assert_close(path_lengths(pictures, codes, directions), slope.square().mean(1).sqrt())


def test_distances_are_one_less_the_cosine_summed_over_depths() -> None:
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1.0]])
    assert distances([a, a], [b, -a]).item() == pytest.approx(1 - math.sqrt(0.5) + 2)


def test_gram_matrices_by_hand() -> None:
    feature = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])
    torch.testing.assert_close(gram(feature), torch.tensor([[[5.0, 11.0], [11.0, 25.0]]]) / 4)


def test_every_term_has_its_weight_and_is_not_computed_without_one() -> None:
    torch.manual_seed(0)
    network = InversionNetwork(TINY)
    made, truth = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    nothing = InversionLosses(**dict.fromkeys(("l2", "lpips", "identity", "parsing", "adversarial"), 0.0))
    total, parts = reconstruction_loss(made, truth, nothing, Judges())
    assert (float(total), parts) == (0.0, {})
    for name in ("l2", "l1", "similarity", "adversarial", "features", "code_length"):
        total, parts = reconstruction_loss(
            made,
            truth,
            replace(nothing, **{name: 2.0}),
            Judges(),
            discriminator=network.D,
            codes=torch.ones(2, 12, 3, 8),
        )
        assert parts.keys() == {name}
        torch.testing.assert_close(total, 2 * parts[name])
    assert parts["code_length"].item() == pytest.approx(math.sqrt(12 * 3 * 8))
    for name in ("lpips", "identity", "parsing", "gram"):
        with pytest.raises(WeightsError, match=f"--without {'lpips' if name == 'gram' else name}"):
            reconstruction_loss(made, truth, replace(nothing, **{name: 1.0}), Judges())


def test_details_count_more_and_the_whole_stays_as_large() -> None:
    made, truth = torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
    truth[:, :, 0, 0] = 1.0
    only = InversionLosses(l2=0, lpips=0, identity=0, parsing=0, adversarial=0, l1=1.0, detail=3.0)
    details = torch.zeros(1, 1, 4, 4)
    details[:, :, 0, 0] = 1.0
    total, _ = reconstruction_loss(made, truth, only, Judges(), details=details)
    assert total.item() == pytest.approx(4 / 19)  # one pixel of weight 4 among fifteen of weight 1


def test_judges_that_are_not_at_hand_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UNDERSTUDY_MODELS", str(tmp_path))
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path))
    assert find_judges({"l2": 1.0, "lpips": 0.0}).modules() == []
    with pytest.raises(WeightsError, match="--without identity"):
        find_judges({"identity": 0.1})


def test_a_parsers_backbone_judges_at_five_depths() -> None:
    torch.manual_seed(0)
    narrow = BiSeNet(ParserSettings(classes=12, widths=(4, 8, 8, 8), context=8, guide=6, size=64)).eval()
    judge = ParserFeatures(narrow)
    answers = judge(torch.rand(2, 3, 128, 128) * 2 - 1)
    assert [a.shape[-1] for a in answers] == [32, 16, 8, 4, 2]
    pictures = torch.rand(2, 3, 64, 64) * 2 - 1
    only = InversionLosses(l2=0.0, lpips=0.0, identity=0.0, adversarial=0.0, parsing=0.1)
    same, _ = reconstruction_loss(pictures, pictures, only, Judges(parser=judge))
    other, parts = reconstruction_loss(-pictures, pictures, only, Judges(parser=judge))
    assert same.item() == pytest.approx(0, abs=1e-5)
    torch.testing.assert_close(other, 0.1 * distances(judge(-pictures), judge(pictures)))
    assert parts.keys() == {"parsing"}


# -- adaptive augmentation ---------------------------------------------------------------------------------------------------


def test_nothing_is_augmented_without_a_chance() -> None:
    pictures = torch.randn(2, 3, 8, 8)
    assert augmented(pictures, 0.0, torch.Generator()) is pictures
    numbers = torch.Generator().manual_seed(0)
    torch.testing.assert_close(draw_geometry(5, 0.0, numbers), torch.eye(3).expand(5, 3, 3))
    torch.testing.assert_close(draw_colour(5, 0.0, numbers), torch.eye(4).expand(5, 4, 4))


def test_augmentations_are_as_frequent_as_p_and_change_no_straight_line() -> None:
    numbers = torch.Generator().manual_seed(0)
    geometry, colour = draw_geometry(4000, 0.2, numbers), draw_colour(4000, 0.2, numbers)
    still = (geometry - torch.eye(3)).abs().flatten(1).amax(1) < 1e-5
    # Flips, quarter turns and shifts by nothing count as not happened: 0.9 x 0.85 x 0.8^4 x (0.8 for two rotations).
    assert float(still.float().mean()) == pytest.approx(0.9 * 0.85 * 0.8**5, abs=0.03)
    assert torch.equal(geometry[:, 2], torch.tensor([0.0, 0, 1]).expand(4000, 3))
    unlit = (colour - torch.eye(4)).abs().flatten(1).amax(1) < 1e-5
    assert float(unlit.float().mean()) == pytest.approx(0.9 * 0.8**4, abs=0.03)
    # Grey stays grey whatever the hue, the saturation and the inversion.
    grey = colour[:, :3, :3] @ torch.ones(3)
    assert float((grey - grey.mean(1, keepdim=True)).abs().max()) < 1e-4


def test_p_rises_while_the_discriminator_is_ahead() -> None:
    adaptive = AdaptiveProbability()
    for _ in range(4):
        adaptive.observe(torch.ones(10, 1), target=0.6, pictures=1000)
    assert float(adaptive.p) == pytest.approx(0.04)
    for _ in range(8):
        adaptive.observe(torch.tensor([[1.0], [-1.0]]), target=0.6, pictures=1000)
    assert float(adaptive.p) == pytest.approx(0.04 - 2 * 8 / 1000)


# -- trainings ---------------------------------------------------------------------------------------------------------------


def tiny_recipe(stage: str, losses: Mapping[str, Any], pictures: int, **changes: Any) -> Recipe:
    return Recipe(
        family="regional_inversion",
        preset="preview",
        network={**asdict(TINY), "stage": stage, "noise": "random"},
        losses=losses,
        stages=(Stage(resolution=16, pictures=pictures, batch=4),),
        learning_rate=3e-3,
        betas=(0.0, 0.99),
        precision="float32",
        ema_pictures=8,
        **changes,
    )


OWN_TERMS = asdict(OWN)
GAN_TERMS = {"r1": 1.0, "path": 2.0, "adaptive": 0.6, "adaptive_pictures": 100, "r1_every": 2, "path_every": 2}


def trainable(recipe: Recipe) -> Trainable:
    return FAMILY.trainable(recipe, ("people",), {})


def test_phases_groups_and_previews() -> None:
    inversion = InversionTrainable(InversionNetwork(TINY), OWN)
    assert [(phase.name, phase.every) for phase in inversion.phases()] == [("inversion", 1), ("discriminator", 2)]
    groups = inversion.parameter_groups("inversion")
    grouped = [parameter for parameters in groups.values() for parameter in parameters]
    network = inversion.whole.inversion
    assert isinstance(network, RegionalInversion)
    whole = {id(p) for p in network.parameters()} - {id(p) for p in network.G.style.parameters()}
    assert {id(parameter) for parameter in grouped} == whole
    assert len(grouped) == len(whole)
    alone = InversionTrainable(InversionNetwork(TINY), replace(OWN, adversarial=0, features=0))
    assert [phase.name for phase in alone.phases()] == ["inversion"]
    gan = GeneratorTrainable(GanNetwork(TINY), GeneratorLosses())
    for subject in (inversion, gan):
        grid = subject.preview([portion()], 1.0)
        assert grid.dtype == np.uint8
        assert grid.shape[2] == 3


def test_the_discriminator_sees_what_this_step_made(monkeypatch: pytest.MonkeyPatch) -> None:
    inversion = InversionTrainable(InversionNetwork(TINY), OWN, noise="fixed")
    first, second = [portion(seed=0)], [portion(seed=1)]
    anew, _ = inversion.loss("discriminator", first, 1.0)
    inversion.loss("inversion", first, 1.0)
    asked: list[Tensor] = []
    monkeypatch.setattr(inversion.whole.inversion, "forward", lambda *x: (asked.append(x[0]), forward(*x))[1])
    forward = RegionalInversion.forward.__get__(inversion.whole.inversion)
    kept, _ = inversion.loss("discriminator", first, 1.0)
    assert not asked
    torch.testing.assert_close(kept, anew)
    inversion.loss("discriminator", second, 1.0)  # of other pictures nothing is kept
    assert len(asked) == 1


def test_most_steps_of_the_preview_go_pixel_by_pixel() -> None:
    inversion = InversionTrainable(InversionNetwork(TINY), OWN, exact_every=3)
    seen: list[bool] = []
    network = inversion.whole.inversion
    assert isinstance(network, RegionalInversion)
    network.forward = lambda pictures, regions, noise: (  # type: ignore[method-assign]
        seen.append(regions.by_pixel),
        RegionalInversion.forward(network, pictures, regions, noise),
    )[1]
    for _ in range(6):
        inversion.loss("inversion", [portion()], 1.0)
    assert seen == [True, True, False, True, True, False]
    for step in range(6):  # whatever the discriminator does in between
        inversion.loss("inversion", batch := [portion()], 1.0)
        if step % 2 == 0:
            inversion.loss("discriminator", batch, 1.0)
    assert seen[6:] == [True, True, False, True, True, False]


def test_a_generators_phase_leaves_the_discriminator_alone() -> None:
    gan = GeneratorTrainable(GanNetwork(TINY), GeneratorLosses(r1_every=1, path_every=1))
    loss, parts = gan.loss("generator", [portion()], 1.0)
    loss.backward()
    assert "path" in parts
    assert all(parameter.grad is None for parameter in gan.gan.D.parameters())
    assert all(parameter.requires_grad for parameter in gan.gan.D.parameters())
    gan.network.zero_grad()
    loss, parts = gan.loss("discriminator", [portion()], 1.0)
    loss.backward()
    assert "r1" in parts
    assert all(parameter.grad is None for parameter in gan.gan.G.parameters())


def test_two_codes_are_mixed_at_a_layer() -> None:
    gan = GeneratorTrainable(GanNetwork(TINY), GeneratorLosses(mixing=1.0))
    codes = gan.codes(50, torch.Generator().manual_seed(0))
    changes = (codes[:, 1:] != codes[:, :-1]).any(2).sum(1)
    assert changes.tolist() == [1] * 50
    plain = GeneratorTrainable(gan.gan, GeneratorLosses(mixing=0.0)).codes(50, torch.Generator().manual_seed(0))
    assert torch.equal(plain[:, :1].expand_as(plain), plain)


def test_pictures_without_regions_are_refused() -> None:
    with pytest.raises(DatasetError, match="whose regions are known"):
        InversionTrainable(InversionNetwork(TINY), OWN).loss("inversion", [replace(portion(), regions=None)], 1.0)


@pytest.mark.parametrize("wrong", [{"l2": -1.0}, {"discriminator_every": 0}])
def test_losses_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="regional_inversion"):
        InversionLosses(**wrong)
    with pytest.raises(OptionError, match="regional_inversion"):
        GeneratorLosses(mixing=2.0)


# -- recipes and starts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "preset"),
    [
        *((GENERATOR, "preview"), (GENERATOR, "paper-1024"), (INVERSION, "preview"), (INVERSION, "paper-1024")),
        *((INVERSION, "paper-1024-celebamask"), (INVERSION, "paper-1024-fixed"), (INVERSION, "code-1024")),
        (INVERSION, "preview-fixed"),
    ],
)
def test_recipes_fit_their_networks(stage: str, preset: str) -> None:
    recipe = FAMILY.recipe(preset, stage=stage)
    settings = settings_of(recipe.network)
    assert recipe.preset == preset
    assert settings.size == recipe.stages[-1].resolution
    (InversionLosses if stage == INVERSION else GeneratorLosses)(**recipe.losses)
    assert (settings == RegionalSettings()) == (not preset.startswith("preview"))


def test_the_papers_schedule() -> None:
    """300 000 steps of 16 for FFHQ, 200 000 for CelebAMask-HQ, a tenth from 100 000 and again from 150 000 (section 4)."""
    paper, other, code = (
        FAMILY.recipe(preset, stage=INVERSION) for preset in ("paper-1024", "paper-1024-celebamask", "code-1024")
    )
    assert (paper.pictures, other.pictures) == (4_800_000, 3_200_000)
    assert paper.drops == ((1_600_000, 0.1), (2_400_000, 0.1))
    assert code.drops == ((1_600_000, 0.1),)
    assert (paper.learning_rate, paper.betas) == (1e-4, (0.9, 0.999))


@pytest.mark.parametrize("preset", ["preview-fixed", "paper-1024-fixed"])
def test_a_generator_that_is_held_must_be_there(preset: str) -> None:
    with pytest.raises(OptionError, match="--from"):
        FAMILY.trainable(FAMILY.recipe(preset, stage=INVERSION))


def test_an_unknown_preset_is_named() -> None:
    with pytest.raises(OptionError, match="--stage inversion has preview"):
        FAMILY.recipe("hero", stage=INVERSION)


def checkpoint_of(subject: Trainable, path: Path) -> Path:
    tensors, network = subject.checkpoint()
    save_checkpoint(path, tensors, ModelCard(family="regional_inversion", preset="preview", network=network))
    return path


def test_inversion_starts_from_a_generator_and_goes_on_from_itself(tmp_path: Path) -> None:
    gan = trainable(tiny_recipe(GENERATOR, GAN_TERMS, 4))
    assert isinstance(gan, GeneratorTrainable)
    path = checkpoint_of(gan, tmp_path / "generator.safetensors")
    first = start(tiny_recipe(INVERSION, OWN_TERMS, 4, start=str(path)))
    assert isinstance(first, InversionTrainable)
    torch.testing.assert_close(first.whole.inversion.G.state_dict(), gan.gan.G.state_dict())
    torch.testing.assert_close(first.whole.D.state_dict(), gan.gan.D.state_dict())
    assert isinstance(first.whole.inversion, RegionalInversion)
    torch.testing.assert_close(first.whole.inversion.latent_avg[2], mean_latent(gan.gan.G))
    again = checkpoint_of(first, tmp_path / "inversion.safetensors")
    second = start(tiny_recipe(INVERSION, OWN_TERMS, 4, start=str(again), seed=5))
    assert isinstance(second, InversionTrainable)
    torch.testing.assert_close(second.whole.inversion.state_dict(), first.whole.inversion.state_dict())
    torch.testing.assert_close(load_inversion(again).state_dict(), first.whole.inversion.state_dict())
    with pytest.raises(CheckpointError, match="reads none"):
        load_inversion(path)
    other = replace(tiny_recipe(INVERSION, OWN_TERMS, 4, start=str(path)))
    with pytest.raises(CheckpointError, match="another widest"):
        start(replace(other, network={**other.network, "widest": 4}))
    with pytest.raises(OptionError, match="no packaged generator"):
        start(replace(other, start="base"))


# -- data --------------------------------------------------------------------------------------------------------------------


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)


def test_plain_pictures_teach_a_generator_and_no_inversion(tmp_path: Path) -> None:
    for index in range(9):
        write(tmp_path / f"{index}.png", np.full((20, 20, 3), 20 * index, np.uint8))
    recipe = tiny_recipe(GENERATOR, GAN_TERMS, 4)
    crops = batches(recipe, tmp_path)
    assert (len(crops), len(crops.people)) == (9, 9)
    (shown,) = crops.batch(0, each=3, size=16)
    assert shown.targets.shape == (3, 3, 16, 16)
    with pytest.raises(DatasetError, match="without regions"):
        batches(tiny_recipe(INVERSION, OWN_TERMS, 4), tmp_path)
    with pytest.raises(OptionError, match="--layout rafd"):
        batches(recipe, tmp_path, layout="rafd")
    with pytest.raises(DatasetError, match="no folder"):
        read_region_folder(tmp_path / "none")


def test_crops_and_regions_are_mirrored_alike(tmp_path: Path) -> None:
    picture, regions = np.zeros((16, 16, 3), np.uint8), np.zeros((8, 8), np.uint8)
    picture[:, :4], regions[:, :2] = 255, 6
    write(tmp_path / "p.png", picture)
    write(tmp_path / "r.png", regions)
    entry = RegionEntry(picture=tmp_path / "p.png", regions=tmp_path / "r.png")
    (shown,) = RegionCrops([entry] * 8).batch(0, each=12, size=16)
    assert shown.regions is not None
    bright = shown.targets[:, 0] > 0.5
    assert torch.equal(bright, shown.regions == 6)
    assert {bool(row[0, 0]) for row in bright} == {False, True}
    assert torch.equal(shown.weights[:, 0] > 0, bright)


def test_celebamask_parts_become_regions(tmp_path: Path) -> None:
    for number in (*range(8), 28_000):
        write(tmp_path / celebamask.PICTURES / f"{number}.jpg", np.zeros((32, 32, 3), np.uint8))
    masks = tmp_path / celebamask.MASKS / "0"
    skin, eye = np.zeros((512, 512), np.uint8), np.zeros((512, 512), np.uint8)
    skin[100:400], eye[200:220] = 255, 255
    write(masks / "00003_skin.png", skin)
    write(masks / "00003_l_eye.png", eye)
    entries = celebamask.read(tmp_path, tmp_path / "keep")
    assert len(entries) == 8
    assert entries[3].regions is not None
    regions = cv2.imread(str(entries[3].regions), cv2.IMREAD_UNCHANGED)
    assert regions is not None
    assert (regions[50, 0], regions[150, 0], regions[210, 0]) == (0, 6, 3)
    assert [entry.person for entry in celebamask.read(tmp_path, tmp_path / "keep", part="test")] == ["28000"]
    with pytest.raises(DatasetError, match="not laid out as CelebAMask-HQ"):
        celebamask.read(tmp_path / "keep", tmp_path)
