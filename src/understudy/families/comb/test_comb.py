"""The comb against the paper's table, and its parts against values worked out elsewhere."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional

from understudy import families
from understudy.checkpoint import ModelCard, save_checkpoint
from understudy.dataset.batches import Portion
from understudy.errors import CheckpointError, OptionError
from understudy.families.comb.base import Base, BaseNetwork, BaseTrainable
from understudy.families.comb.losses import (
    CombTrainable,
    LossSettings,
    masked_ms_ssim,
    reconstruction_loss,
    weighted_l1,
)
from understudy.families.comb.network import TABLE_1_WIDTHS, CombNetwork, CombSettings
from understudy.families.comb.start import settings_of

TINY = CombSettings(widths=(8, 8, 6, 4), latent=12, split_level=1)


def count(*modules: torch.nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def portion(identity: str, size: int = 32, batch: int = 2, seed: int = 0) -> Portion:
    pictures = torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(seed))
    return Portion(identity=identity, inputs=pictures, targets=pictures, weights=torch.ones(batch, 1, size, size))


def test_parameter_counts_are_table_1s() -> None:
    with torch.device("meta"):
        comb = CombNetwork(CombSettings(), ["one"])
    assert CombSettings().resolution == 1024
    assert count(comb.encoder) == 23_072_016
    assert count(comb.shared, comb.branches) == 23_071_507


def test_hero_preset_is_table_1() -> None:
    recipe = families.get("comb").recipe("hero-1024")
    assert settings_of(recipe.network) == CombSettings(widths=TABLE_1_WIDTHS, latent=512, split_level=1)
    assert [stage.resolution for stage in recipe.stages] == [4 << k for k in range(9)]
    assert all(stage.fade == 1.0 for stage in recipe.stages), "the paper fades over the whole of each level"


@pytest.mark.parametrize(
    ("level", "inputs", "outputs"),
    # Table 1's encoder, channels in and out of each level.
    [(8, 16, 32), (7, 32, 64), (6, 64, 128), (5, 128, 256), (4, 256, 512), (3, 512, 512), (2, 512, 512), (1, 512, 512)],
)
def test_encoder_levels_have_table_1s_channels(level: int, inputs: int, outputs: int) -> None:
    with torch.device("meta"):
        comb = CombNetwork(CombSettings(), ["one"])
    first, second = comb.encoder.levels[level]  # type: ignore[misc]
    assert (first.in_channels, first.out_channels) == (inputs, inputs)
    assert (second.in_channels, second.out_channels) == (inputs, outputs)
    branch = comb.branch("one")
    convolutions = comb.shared.levels[level] if level <= 1 else branch.levels[level - 2]
    first, second = convolutions  # type: ignore[misc]
    assert (first.in_channels, first.out_channels) == (outputs, inputs)
    assert (second.in_channels, second.out_channels) == (inputs, inputs)


def test_shapes_at_full_size() -> None:
    with torch.device("meta"):
        comb = CombNetwork(CombSettings(), ["one", "two"])
        latent = comb.encode(torch.zeros(1, 3, 1024, 1024))
        assert latent.shape == (1, 512, 1, 1)
        assert comb.decode(latent, "two").shape == (1, 3, 1024, 1024)


@pytest.mark.parametrize("split", [-1, 0, 1, 2, 3])
def test_split_level_moves_parameters_between_shared_and_branch(split: int) -> None:
    comb = CombNetwork(CombSettings(widths=(8, 8, 6, 4), latent=12, split_level=split), ["a", "b"])
    whole = CombNetwork(TINY, ["a"])
    assert count(comb.shared, comb.branch("a")) == count(whole.shared, whole.branch("a"))
    assert len(comb.shared.levels) == split + 1
    out = comb([torch.rand(1, 3, 32, 32)], ["b"])[0]
    assert out.shape == (1, 3, 32, 32)
    assert float(out.detach().min()) >= 0 and float(out.detach().max()) <= 1


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_new_level_begins_as_the_old_network(level: int) -> None:
    """At alpha = 0 the grown network answers what the smaller one did, twice as large (Fig. 13)."""
    comb = CombNetwork(TINY, ["a"], level=level - 1)
    picture = torch.rand(2, 3, 4 << level, 4 << level)
    small = functional.avg_pool2d(picture, 2)
    with torch.no_grad():
        before = functional.interpolate(comb([small], ["a"])[0], scale_factor=2, mode="bilinear", align_corners=False)
        comb.grow_to(level)
        after = comb([picture], ["a"], fade=0.0)[0]
    torch.testing.assert_close(after, before)


def test_rgb_layers_of_finished_levels_are_thrown_away() -> None:
    comb = CombNetwork(TINY, ["a"], level=0)
    for level in (1, 2, 3):
        comb.grow_to(level)
        assert comb.rgb_levels() == [level - 1, level]
    comb.finish_level()
    assert comb.rgb_levels() == [3]


def test_fade_is_linear_in_alpha_at_the_output() -> None:
    comb = CombNetwork(TINY, ["a"], level=2)
    comb.grow_to(3)
    latent = torch.rand(1, 12, 1, 1)
    with torch.no_grad():
        low, middle, high = (comb.decode(latent, "a", fade) for fade in (0.0, 0.25, 1.0))
    torch.testing.assert_close(middle, 0.75 * low + 0.25 * high)


def test_every_identity_has_its_own_branch() -> None:
    comb = CombNetwork(TINY, ["a", "b"])
    comb.add_identity("c.d", like="b")
    picture = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        a, b, c = (comb([picture], [name])[0] for name in ("a", "b", "c.d"))
    assert not torch.equal(a, b)
    torch.testing.assert_close(b, c)
    with pytest.raises(OptionError, match="this model knows a, b, c.d"):
        comb.branch("nobody")


def test_ms_ssim_of_one_scale_is_scikit_images_ssim() -> None:
    from skimage.metrics import structural_similarity

    generator = np.random.default_rng(1)
    a = generator.random((21, 21, 3), np.float32)
    b = np.clip(a + generator.normal(0, 0.1, a.shape), 0, 1).astype(np.float32)
    full = structural_similarity(
        a, b, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0, full=True
    )[1]
    first, second = (torch.from_numpy(x).permute(2, 0, 1)[None] for x in (a, b))
    ours = masked_ms_ssim(first, second, torch.ones(1, 1, 21, 21))
    # 21 pixels hold the 11-pixel window at one scale only; scikit-image's map has the same window away from its edge.
    assert float(ours) == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-4)


def test_ms_ssim_ignores_what_lies_outside_the_face() -> None:
    torch.manual_seed(0)
    a, b = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)
    weights = torch.zeros(1, 1, 64, 64)
    weights[..., 16:48, 16:48] = 1
    same_inside = torch.where(weights > 0, a, b)
    assert float(masked_ms_ssim(a, same_inside, weights)) == pytest.approx(1.0)
    assert float(masked_ms_ssim(a, b, weights)) < 0.8


def test_the_loss_is_float32_inside_autocast() -> None:
    torch.manual_seed(0)
    a = torch.rand(1, 3, 64, 64)
    b, weights = (a + 0.02 * torch.randn_like(a)).clamp(0, 1), torch.ones(1, 1, 64, 64)
    plain, _ = reconstruction_loss(a, b, weights, LossSettings())
    with torch.autocast("cpu", torch.bfloat16):
        mixed, _ = reconstruction_loss(a, b, weights, LossSettings())
    torch.testing.assert_close(mixed, plain)


def test_weighted_l1_by_hand() -> None:
    a, b = torch.zeros(1, 3, 1, 2), torch.tensor([0.2, 0.8]).expand(1, 3, 1, 2)
    weights = torch.tensor([[[[3.0, 1.0]]]])
    assert float(weighted_l1(a, b, weights)) == pytest.approx((3 * 0.2 + 1 * 0.8) / 4)


def test_small_pictures_fall_back_to_l1() -> None:
    a, b = torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8)
    loss, parts = reconstruction_loss(a, b, torch.ones(1, 1, 8, 8), LossSettings(ssim=0.5, l1=2.0))
    assert float(loss) == pytest.approx(2.0)
    assert set(parts) == {"l1"}


def test_one_step_moves_every_identity() -> None:
    trainable = CombTrainable(CombNetwork(TINY, ["a", "b"]), LossSettings())
    loss, _ = trainable.loss("reconstruct", [portion("a"), portion("b", seed=1)], 1.0)
    loss.backward()
    gradients = {name: p.grad for name, p in trainable.network.named_parameters()}
    assert all(g is not None and g.abs().sum() > 0 for n, g in gradients.items() if "weight" in n), (
        "a part learns nothing"
    )


def test_a_modulated_person_is_an_ordinary_branch() -> None:
    torch.manual_seed(3)
    network = BaseNetwork(TINY, ["p", "q", "r"], level=2)
    network.comb.grow_to(3)
    with torch.no_grad():
        for parameter in network.modulations.parameters():
            parameter.normal_(0, 0.3)
        for parameter in network.comb.branches.parameters():
            parameter.copy_(parameter.bfloat16().float())
        for module in (network.comb.encoder, network.comb.shared, network.modulations):
            for parameter in module.parameters():
                parameter.copy_(parameter.bfloat16().float())
    tensors, card = BaseTrainable(network, LossSettings()).checkpoint()
    base = Base(tensors, card)
    comb = base.new_comb(["someone"])
    base.set_branch(comb, "someone", torch.tensor([0.0, 1.0, 0.0]))
    picture = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(
            comb([picture], ["someone"])[0], network(picture, torch.tensor([1, 1])), atol=1e-5, rtol=1e-4
        )


def test_a_newcomer_starts_from_who_looks_most_alike() -> None:
    torch.manual_seed(4)
    network = BaseNetwork(TINY, ["p", "q", "r"])
    with torch.no_grad():
        for parameter in network.modulations.parameters():
            parameter.normal_(0, 0.5)
    base = Base(*BaseTrainable(network, LossSettings()).checkpoint())
    comb = base.new_comb(["new"])
    picture, weights = torch.rand(2, 3, 32, 32), torch.ones(2, 1, 32, 32)
    order = base.fit_branch(comb, "new", picture, weights)
    with torch.no_grad():
        losses = {
            name: float(
                reconstruction_loss(network(picture, torch.tensor([i, i])), picture, weights, LossSettings())[0]
            )
            for i, name in enumerate(network.people)
        }
        chosen = comb([picture], ["new"])[0]
        best = network(picture, torch.full((2,), network.people.index(order[0])))
    assert order == sorted(losses, key=losses.__getitem__)
    torch.testing.assert_close(chosen, best, atol=0.02, rtol=0)  # the base keeps 8 bits of each weight


def test_performer_gives_the_same_pixels_however_frames_are_divided(tmp_path) -> None:
    trainable = CombTrainable(CombNetwork(TINY, ["a", "b"]), LossSettings())
    tensors, network = trainable.checkpoint()
    save_checkpoint(tmp_path / "m.safetensors", tensors, ModelCard(family="comb", preset="tiny", network=network))
    performer = families.get("comb").performer(tmp_path / "m.safetensors", device="cpu")
    crops = np.random.default_rng(0).random((7, 32, 32, 3), np.float32)
    whole = performer.swap(crops, "b").crops
    assert whole.shape == crops.shape and whole.dtype == np.float32
    one_by_one = np.concatenate([performer.swap(crops[i : i + 1], "b").crops for i in range(7)])
    np.testing.assert_array_equal(whole, one_by_one)
    latents = performer.encode(crops)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(performer.decode(latents, "b"), whole)  # type: ignore[attr-defined]


def test_a_checkpoint_of_a_half_grown_network_holds_only_what_was_trained(tmp_path) -> None:
    trainable = CombTrainable(CombNetwork(TINY, ["a"], level=1), LossSettings())
    trainable.set_resolution(16)
    tensors, network = trainable.checkpoint()
    save_checkpoint(tmp_path / "m.safetensors", tensors, ModelCard(family="comb", preset="tiny", network=network))
    performer = families.get("comb").performer(tmp_path / "m.safetensors", device="cpu")
    assert performer.size == 16


def test_the_base_cannot_perform(tmp_path) -> None:
    tensors, network = BaseTrainable(BaseNetwork(TINY, ["p", "q"]), LossSettings()).checkpoint()
    save_checkpoint(tmp_path / "m.safetensors", tensors, ModelCard(family="comb", preset="base", network=network))
    with pytest.raises(CheckpointError, match="knows no performer"):
        families.get("comb").performer(tmp_path / "m.safetensors", device="cpu")


@pytest.mark.parametrize("preset", families.get("comb").presets)
def test_presets_agree_with_themselves(preset: str) -> None:
    recipe = families.get("comb").recipe(preset)
    assert recipe.preset == preset
    assert settings_of(recipe.network).resolution == recipe.stages[-1].resolution
    resolutions = [stage.resolution for stage in recipe.stages]
    assert resolutions == sorted(set(resolutions))


def test_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(OptionError, match="preview, preview-256"):
        families.get("comb").recipe("tiny")


def test_modulation_changes_nothing_at_first_and_folds_into_plain_weights() -> None:
    from understudy.families.comb import modulated

    comb = CombNetwork(TINY, ["anna", "ben"])
    comb.finish_level()
    picture = torch.rand(1, 3, comb.settings.resolution, comb.settings.resolution)
    before = comb([picture], ["anna"])[0]
    names = set(comb.state_dict())
    modulated.modulate(comb)
    assert torch.equal(comb([picture], ["anna"])[0], before)
    with torch.no_grad():
        for parameter in modulated.parameter_groups(comb)["modulations"]:
            parameter.add_(0.1 * torch.randn_like(parameter))
    moved = comb([picture], ["anna"])[0]
    assert not torch.allclose(moved, before)
    plain = CombNetwork(TINY, ["anna", "ben"])
    plain.finish_level()
    state = modulated.plain_state(comb)
    assert set(state) == names
    plain.load_state_dict(state)
    assert torch.allclose(plain([picture], ["anna"])[0], moved, atol=1e-5)


RESIDUAL = dataclasses.replace(TINY, input_level=TINY.top_level - 1, residual=True, split_level=0)


def test_a_residual_level_starts_from_the_finished_picture_below() -> None:
    comb = CombNetwork(RESIDUAL, ["anna"], RESIDUAL.top_level - 1)
    comb.finish_level()
    size = comb.settings.resolution
    fine = torch.rand(1, 3, size, size)
    coarse = functional.avg_pool2d(fine, 2)
    latent = comb.encode(coarse)
    logits = torch.logit(comb.decode(latent, "anna"))
    comb.grow_to(RESIDUAL.top_level)
    # The encoder sees the picture at its own level, and the new to-RGB adds nothing yet.
    assert torch.allclose(comb.encode(fine), latent, atol=1e-6)
    assert torch.allclose(comb.decode(latent, "anna"), torch.sigmoid(comb.double(logits)), atol=1e-5)
    comb.finish_level()
    assert comb.rgb_levels() == [RESIDUAL.top_level - 1, RESIDUAL.top_level]
    again = CombNetwork(RESIDUAL, ["anna"])
    again.finish_level()
    again.load_state_dict(comb.state_dict())


def test_residual_needs_an_input_level() -> None:
    with pytest.raises(OptionError, match="residual needs an input_level"):
        dataclasses.replace(TINY, residual=True)
    with pytest.raises(OptionError, match="input_level 9"):
        dataclasses.replace(TINY, input_level=9)


def test_guide_asks_for_the_start_s_light_and_the_identity_s_own_colours() -> None:
    from understudy.families.comb.guide import FLOOR, Guide, shrink

    comb = CombNetwork(TINY, ["anna", "ben"])
    comb.finish_level()
    size = comb.settings.resolution
    own, weights = torch.rand(4, 3, size, size), torch.ones(4, 1, size, size)
    answers = shrink(comb(pictures := [own], ["anna"])[0], 4)
    guide = Guide(comb, {"anna": (own, weights)}, size=4)
    # By hand: the mean over the pictures of the log ratio.
    offset = ((shrink(own, 4) + FLOOR).log() - (answers + FLOOR).log()).mean(0)
    assert torch.allclose(guide.offsets["anna"], offset, atol=1e-5)
    other = torch.rand(2, 3, size, size)
    begun = shrink(comb([other], ["anna"])[0], 4)
    goal = (begun + FLOOR) * offset.exp() - FLOOR
    assert torch.allclose(guide.goal(other, "anna"), goal, atol=1e-5)
    assert torch.allclose(guide.goal(other, "ben"), shrink(comb([other], ["ben"])[0], 4), atol=1e-5)
    # The start's copy stays when the network moves on.
    with torch.no_grad():
        for parameter in comb.parameters():
            parameter += 1.0
    assert torch.allclose(guide.goal(other, "anna"), goal, atol=1e-5)
    perfect = functional.interpolate(guide.goal(other, "anna"), size=size, mode="nearest")
    assert guide.loss(perfect, other, weights[:2], "anna") < 1e-5
    assert guide.loss(perfect + 0.1, other, weights[:2], "anna") == pytest.approx(0.1, abs=1e-4)
    assert len(pictures) == 1


def test_everybody_s_branch_sees_everybody_else_in_turn() -> None:
    from understudy.families.comb.guide import crossed

    names = ["anna", "ben", "cleo"]
    seen = {pair for step in range(2) for pair in crossed(names, step)}
    assert seen == {(a, b) for a in range(3) for b in range(3) if a != b}
    assert crossed(["anna"], 0) == []


def test_guided_training_keeps_other_people_s_light() -> None:
    """A branch that only ever sees its own dark footage answers a bright stranger darkly, unless it is guided."""
    from understudy.families.comb.guide import Guide

    answers = {}
    for keep in (0.0, 20.0):
        torch.manual_seed(0)
        comb = CombNetwork(TINY, ["anna", "ben"])
        comb.finish_level()
        size = comb.settings.resolution
        dark, bright = torch.rand(4, 3, size, size) * 0.2, 0.8 + torch.rand(4, 3, size, size) * 0.2
        ones = torch.ones(4, 1, size, size)
        guide = Guide(comb, {}, size=2)
        before = guide.goal(bright, "anna")
        subject = CombTrainable(comb, LossSettings(ssim=0, keep=keep), guide)
        batch = [
            Portion(identity=name, inputs=x, targets=x, weights=ones) for name, x in (("anna", dark), ("ben", bright))
        ]
        optimiser = torch.optim.Adam(comb.parameters(), lr=2e-3)
        for _ in range(60):
            optimiser.zero_grad()
            subject.loss("reconstruct", batch, 1.0)[0].backward()
            optimiser.step()
        with torch.no_grad():
            now = functional.adaptive_avg_pool2d(comb([bright], ["anna"])[0], 2)
        answers[keep] = float((now - before).abs().mean())
    assert answers[20.0] < 0.5 * answers[0.0]


def test_crispness_wants_as_much_detail_not_the_same() -> None:
    from understudy.blocks.structural_similarity import crispness

    generator = torch.Generator().manual_seed(0)
    make = lambda: 0.5 + 0.1 * torch.randn(1, 1, 64, 64, generator=generator).expand(-1, 3, -1, -1)  # noqa: E731
    a, other, ones = make(), make(), torch.ones(1, 1, 64, 64)
    assert crispness(a, a, ones) == pytest.approx(1.0, abs=1e-5)
    # Other noise of the same strength is nearly as good; half of it is 2·1·0.5 / (1 + 0.25) = 0.8 everywhere.
    assert crispness(a, other, ones) > 0.9
    assert crispness(a, 0.5 + (a - 0.5) / 2, ones) == pytest.approx(0.8, abs=2e-3)
    assert crispness(a, functional.avg_pool2d(a, 5, 1, 2), ones) < 0.5
    assert crispness(a, a.flip(3), torch.zeros_like(ones)) == 0
