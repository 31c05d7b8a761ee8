"""The AF-VAE network against the paper's structure, its switches, its training step and its answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from understudy import families
from understudy.checkpoint import ModelCard, save_checkpoint
from understudy.dataset.batches import Portion
from understudy.errors import CheckpointError, DatasetError, OptionError
from understudy.faces.align import mean_mesh
from understudy.faces.boundary import MOUTH, BoundaryTopology, Curve, load_topology, opening_masks
from understudy.families.boundary_vae.losses import LossSettings, kl_term, reconstruction, without
from understudy.families.boundary_vae.motion import carried
from understudy.families.boundary_vae.network import (
    Answer,
    BoundaryNetwork,
    BoundarySettings,
    Decoder,
    Ladder,
    Structure,
    Up,
    settings_of,
)
from understudy.families.boundary_vae.perform import BoundaryAnimator
from understudy.families.boundary_vae.phases import BoundaryTrainable
from understudy.families.boundary_vae.start import load_network, memory_bank, start
from understudy.family import Drive, Trainable

FAMILY = families.get("boundary_vae")
TINY = BoundarySettings(
    topology=load_topology("face13"), size=32, widths=(6, 8, 8), top_width=6, latent=8, clusters=3, memory_size=16
)
MOVING = replace(TINY, motion=True)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def faces(number: int, seed: int = 0) -> np.ndarray:
    """(number, 478, 3) meshes in the unit square: shifted, and their mouths opened."""
    numbers, mesh = np.random.default_rng(seed), mean_mesh() * 0.6 + [0.5, 0.52, 0.0]
    shifts, opening = numbers.normal(0, 0.02, (number, 1, 3)), numbers.uniform(0, 0.15, number)
    meshes = np.repeat(mesh[None], number, 0) + shifts
    below = mesh[:, 1] > 0.68
    meshes[:, below, 1] += opening[:, None] * (mesh[below, 1] - 0.68) / 0.15
    return meshes.astype(np.float32)


def portion(settings: BoundarySettings = TINY, batch: int = 3, seed: int = 0, alike: float = 1.0) -> Portion:
    numbers = torch.Generator().manual_seed(seed)
    # Plain colours, which a network learns in a few steps, with a little texture.
    colours = torch.rand(batch, 3, 1, 1, generator=numbers)
    inputs = 0.8 * colours + 0.2 * torch.rand(batch, 3, settings.size, settings.size, generator=numbers)
    points = torch.from_numpy(faces(2 * batch, seed)[..., :2])
    return Portion(
        identity="people",
        inputs=inputs,
        targets=1 - inputs,
        weights=torch.rand(batch, 1, settings.size, settings.size, generator=numbers),
        points=points[:batch],
        target_points=points[batch:],
        alike=torch.full((batch,), alike),
    )


def made(settings: BoundarySettings = TINY, seed: int = 0) -> BoundaryNetwork:
    torch.manual_seed(seed)
    network = BoundaryNetwork(settings)
    network.memory.remember(memory_bank(faces(24)[..., :2], settings))
    return network


def stirred(settings: BoundarySettings, seed: int = 0) -> BoundaryNetwork:
    """A network none of whose answers is at rest, as after some training."""
    network = made(settings, seed)
    with torch.no_grad():
        for parameter in network.decoder.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed)))
    return network


def still(settings: BoundarySettings, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((settings.size, settings.size, 3), np.float32)


# -- the network ----------------------------------------------------------------------------------------------------------


def test_parameters_at_full_size_are_those_of_the_table() -> None:
    """Counted anew from the layers in ``network``'s docstring: weights, biases and the lengths of weight normalisation."""
    settings = settings_of(FAMILY.recipe("paper").network)
    with torch.device("meta"):
        network = BoundaryNetwork(settings)
    layer = lambda taps, inputs, outputs: taps * inputs * outputs + 2 * outputs  # noqa: E731
    widths, curves, latent = (64, 128, 256, 512, 512, 512, 512), 13, 256
    assert (settings.widths, settings.curves, settings.latent, settings.size) == (widths, curves, latent, 256)
    ladder = lambda inputs: sum(layer(16, i, o) for i, o in zip((inputs, *widths), widths, strict=False))  # noqa: E731
    assert count(network.structure_encoder) == ladder(curves)
    # 2² pixels are left of 256².
    assert count(network.appearance) == ladder(3 + curves) + layer(1, 512 * 4, 2 * latent)
    outputs = (32, *widths[:-1])
    decoder = layer(1, latent, 512 * 4) + layer(9, 32 + curves, 32) + layer(9, 32, 3)
    # The length of a transposed convolution or a pixel shuffle is one for each of its own outputs.
    decoder += sum(layer(9, 2 * w, w) + layer(9, w, 4 * o) for w, o in zip(widths, outputs, strict=True))
    assert count(network.decoder) == decoder
    assert count(network.memory) == 8 * latent + 8
    assert count(network) == 87_326_670


def test_the_preview_is_small() -> None:
    with torch.device("meta"):
        assert 2e6 < count(BoundaryNetwork(settings_of(FAMILY.recipe("preview").network))) < 5e6


@pytest.mark.parametrize("preset", FAMILY.presets)
def test_shapes_at_full_size(preset: str) -> None:
    settings = settings_of(FAMILY.recipe(preset).network)
    # Automatic precision, which the motion of points switches off, knows no meta device.
    with torch.device("cpu" if settings.motion else "meta"), torch.no_grad():
        network = BoundaryNetwork(settings)
        pictures, maps = (torch.zeros(2, c, settings.size, settings.size) for c in (3, settings.curves))
        mean, log_variance = network.appearance(pictures, maps)
        structure = network.structure(maps)
        answer = network.decode(mean, structure, pictures, *torch.zeros(2, 2, settings.topology.points, 2))
    assert mean.shape == log_variance.shape == (2, settings.latent)
    sides = [settings.size >> level for level in range(1, len(settings.widths) + 1)]
    expected = [(2, width, side, side) for width, side in zip(settings.widths, sides, strict=True)]
    assert [feature.shape for feature in structure.features] == expected
    assert sides[-1] == 2
    assert answer.picture.shape == pictures.shape
    assert (answer.motion is not None) == settings.motion
    if answer.motion is not None and answer.mask is not None:
        assert answer.motion.shape == (2, 2, settings.size, settings.size)
        assert answer.mask.shape == (2, 1, settings.size, settings.size)


def test_the_picture_reaches_the_decoder_through_z_alone() -> None:
    """Skips come from the structure encoder only (section 3.1)."""
    network = stirred(TINY)
    shown = BoundaryTrainable(network, LossSettings()).shown([portion()])
    z = torch.randn(3, 8)
    answers = [
        network.decode(z, network.structure(shown.target_maps), p).picture for p in (shown.pictures, shown.truth)
    ]
    assert torch.equal(*answers)
    assert not torch.equal(answers[0], network.decode(z, network.structure(shown.maps)).picture), "and hears the lines"
    assert not torch.equal(answers[0], network.decode(z + 1, network.structure(shown.target_maps)).picture), "and z"


def test_every_skip_is_heard() -> None:
    torch.manual_seed(0)
    decoder, shapes = Decoder(TINY), [(13, 32), (6, 16), (8, 8), (8, 4)]
    lines, *features = (torch.rand(1, width, side, side, requires_grad=True) for width, side in shapes)
    decoder(torch.randn(1, 8), Structure(lines=lines, features=tuple(features))).picture.square().sum().backward()
    assert all(part.grad is not None and part.grad.any() for part in (lines, *features))


def test_every_layer_is_weight_normalised() -> None:
    layers = [m for m in made().modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)]
    assert len(layers) == 3 + 1 + 3 + 1 + 6 + 2
    assert all(parametrize.is_parametrized(layer, "weight") for layer in layers)
    # w = g v / |v| for every output: twice the length, twice the answer.
    torch.manual_seed(0)
    up, x = Up(4, 2, replace(TINY, pixel_shuffle=False)), torch.randn(1, 4, 5, 5)
    nn.init.zeros_(up.layer.bias)  # type: ignore[arg-type]
    before = up(x)
    with torch.no_grad():
        up.layer.parametrizations.weight.original0[0, 1] *= 2  # type: ignore[index, union-attr]
    torch.testing.assert_close(up(x)[:, 1], 2 * before[:, 1])
    torch.testing.assert_close(up(x)[:, 0], before[:, 0])


def test_a_pixel_shuffle_begins_without_a_checkerboard() -> None:
    torch.manual_seed(0)
    x = Up(4, 3, TINY)(torch.randn(2, 4, 5, 5))
    assert x.shape == (2, 3, 10, 10)
    blocks = x.unflatten(2, (5, 2)).unflatten(4, (5, 2))
    torch.testing.assert_close(blocks, blocks[:, :, :, :1, :, :1].expand_as(blocks))
    plain = Up(4, 3, replace(TINY, pixel_shuffle=False))(torch.randn(2, 4, 5, 5))
    assert plain.shape == (2, 3, 10, 10)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"size": 100}, "multiple of 128"),
        ({"weighting": "equal"}, "cosine or centred"),
        ({"widths": ()}, "widths"),
        ({"sigma": 0.0}, "sigma 0.0"),
        ({"colour": 1}, "colour"),
        ({"topology": "face99"}, "face13"),
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        settings_of({**FAMILY.recipe("paper").network, **wrong})


def test_settings_survive_their_record() -> None:
    topology = BoundaryTopology(name="two", points=3, curves=(Curve(name="a", points=(0, 1, 2), closed=True),))
    for settings in (TINY, replace(MOVING, topology=topology)):
        assert settings_of(settings.as_record()) == settings


# -- the switches of the ablation -----------------------------------------------------------------------------------------


def test_without_gmm_the_prior_is_a_unit_gaussian() -> None:
    maps = torch.rand(2, 13, 32, 32)
    mean, variance = made(replace(TINY, gmm=False)).prior(maps)
    assert not mean.any() and torch.equal(variance, torch.ones(2))
    mean, variance = made().prior(maps)
    assert mean.any() and (variance < 1).all()


def test_without_pixel_shuffle_upsampling_is_transposed() -> None:
    def found(settings: BoundarySettings, kind: type[nn.Module]) -> int:
        return sum(isinstance(module, kind) for module in made(settings).modules())

    assert (found(TINY, nn.PixelShuffle), found(TINY, nn.ConvTranspose2d)) == (3, 0)
    other = replace(TINY, pixel_shuffle=False)
    assert (found(other, nn.PixelShuffle), found(other, nn.ConvTranspose2d)) == (0, 3)


def test_without_weight_norm_there_is_none() -> None:
    network = made(replace(TINY, weight_norm=False))
    assert not [m for m in network.modules() if parametrize.is_parametrized(m)]
    assert isinstance(network.structure_encoder, Ladder)


def test_without_kl_nothing_is_drawn() -> None:
    def twice(losses: LossSettings) -> tuple[list[Tensor], list[Any]]:
        trainable = BoundaryTrainable(made(), losses)
        results = [trainable.loss("reconstruct", [portion()], 1.0) for _ in range(2)]
        return [total for total, _ in results], [parts for _, parts in results]

    drawn, parts = twice(LossSettings())
    assert not torch.equal(*drawn) and "kl" in parts[0]
    plain, parts = twice(LossSettings(kl=0.0))
    assert torch.equal(*plain) and "kl" not in parts[0]


def test_without_names_its_terms() -> None:
    losses = FAMILY.recipe("paper").losses
    assert without(losses, ["kl"]) == {**losses, "kl": 0.0}
    with pytest.raises(OptionError, match="l1, features, kl"):
        without(losses, ["drive"])


# -- losses ---------------------------------------------------------------------------------------------------------------


def test_the_terms_add_up() -> None:
    answer = Answer(picture=torch.full((1, 3, 16, 16), 0.5), painted=torch.zeros(1, 3, 16, 16))
    truth, ones = torch.zeros(1, 3, 16, 16), torch.ones(1, 1, 16, 16)
    total, parts = reconstruction(answer, truth, ones, ones, None, LossSettings(l1=3.0, features=0.0))
    assert set(parts) == {"l1"}
    assert float(total) == pytest.approx(1.5)
    # Where nothing counts, nothing costs.
    half = ones.clone()
    half[..., 8:] = 0
    truth[..., :8] = 0.5
    assert float(reconstruction(answer, truth, half, ones, None, LossSettings(features=0.0))[0]) == 0


def test_openings_count_by_themselves_however_small_they_are() -> None:
    truth, ones = torch.zeros(1, 3, 16, 16), torch.ones(1, 1, 16, 16)
    picture, openings = truth.clone(), torch.zeros(1, 1, 16, 16)
    picture[..., 8:10, 8:10], openings[..., 8:10, 8:10] = 0.5, 1
    answer = Answer(picture=picture, painted=picture)
    weights = LossSettings(l1=0.0, features=0.0, openings=0.2)
    total, parts = reconstruction(answer, truth, ones, ones, None, weights, openings)
    assert float(parts["openings"]) == pytest.approx(0.5)
    assert float(total) == pytest.approx(0.1)
    # All mouths shut, and nothing to say.
    assert float(reconstruction(answer, truth, ones, ones, None, weights, 0 * openings)[0]) == 0
    shut, lips = (BoundaryTrainable(made(), LossSettings(openings=part)).shown([portion()]) for part in (0.0, 0.1))
    assert shut.openings is None and lips.openings is not None
    assert lips.openings.shape == lips.counts.shape and 0 < lips.openings.mean() < 0.2


def test_what_is_painted_where_nothing_is_known_costs() -> None:
    shown, apart = (
        BoundaryTrainable(made(MOVING), LossSettings(face=2.0)).shown([portion(MOVING, alike=alike)])
        for alike in (1.0, 0.0)
    )
    assert shown.unknown is not None and apart.unknown is not None
    assert float(shown.unknown.abs().max()) == 0
    torch.testing.assert_close(apart.unknown, 1 - apart.inside)
    truth, ones = torch.zeros(1, 3, 16, 16), torch.ones(1, 1, 16, 16)
    added, unknown = torch.zeros(1, 3, 16, 16), torch.zeros(1, 1, 16, 16)
    added[..., :4], added[..., 12:], unknown[..., 12:] = 0.9, -0.2, 1
    answer = Answer(picture=truth, painted=truth, added=added)
    weights = LossSettings(l1=0.0, features=0.0, quiet=2.0)
    total, parts = reconstruction(answer, truth, ones, ones, None, weights, None, unknown)
    assert float(parts["quiet"]) == pytest.approx(0.2), "what is added elsewhere has an answer to be held against"
    assert float(total) == pytest.approx(0.4)


def test_the_divergence_rises_and_is_shared_among_the_pictures_values() -> None:
    posterior, prior = (torch.ones(2, 4), torch.zeros(2, 4)), (torch.zeros(2, 4), torch.ones(2))
    for step, rise in ((0, 0.1), (4, 0.5), (9, 1.0), (50, 1.0)):
        share, parts = kl_term(posterior, prior, 100, LossSettings(kl=5.0, kl_rise=10), step)
        assert float(parts["kl"]) == pytest.approx(4 * 0.5)
        assert float(share) == pytest.approx(5 * rise * 2 / 100)


def test_an_answer_in_another_light_counts_inside_the_face_alone() -> None:
    trainable = BoundaryTrainable(made(), LossSettings(face=2.0))
    shown, apart = (trainable.shown([portion(alike=alike)]) for alike in (1.0, 0.0))
    torch.testing.assert_close(shown.counts, 1 + 2 * shown.inside)
    torch.testing.assert_close(apart.counts, 2 * shown.inside)


@pytest.mark.parametrize("wrong", [{"kl": -1.0}, {"apart": 2.0}, {"perceptual": "lpips"}, {"answers": "all"}])
def test_losses_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        LossSettings(**wrong)


# -- training -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [TINY, MOVING], ids=["paper", "motion"])
def test_training_lowers_the_loss(settings: BoundarySettings) -> None:
    trainable: Trainable = BoundaryTrainable(made(settings), LossSettings(ssim=0.2, paint=0.1, smooth=0.05))
    parameters = [p for group in trainable.parameter_groups("reconstruct").values() for p in group]
    assert len(parameters) == len([p for p in trainable.network.parameters() if p.requires_grad])
    optimiser = torch.optim.Adam(parameters, lr=1e-2)
    batch, found = [portion(settings)], []
    for _ in range(20):
        optimiser.zero_grad()
        loss, parts = trainable.loss("reconstruct", batch, 1.0)
        loss.backward()
        optimiser.step()
        found.append(float(parts["l1"]))
        assert all(parameter.grad is not None for parameter in parameters)
    assert np.mean(found[-3:]) < 0.85 * found[0]
    assert {"features", "kl", "memory/effective", "memory/spread"} <= set(parts)
    grid = trainable.preview(batch, 1.0)
    assert grid.dtype == np.uint8 and grid.shape == (3 * 32, (7 if settings.motion else 5) * 32, 3)


def test_numbers_depend_on_how_many_losses_there_were() -> None:
    one, two = (BoundaryTrainable(made(), LossSettings()) for _ in range(2))
    first = one.loss("reconstruct", [portion()], 1.0)[0]
    second = one.loss("reconstruct", [portion()], 1.0)[0]
    two.network.load_state_dict({**one.network.state_dict(), "draws": torch.tensor(1)})
    assert torch.equal(two.loss("reconstruct", [portion()], 1.0)[0], second)
    assert not torch.equal(first, second)


def test_a_prior_that_learns() -> None:
    trainable = BoundaryTrainable(made(replace(TINY, learned_prior=True)), LossSettings())
    trainable.loss("reconstruct", [portion()], 1.0)[0].backward()
    assert len(trainable.parameter_groups("reconstruct")["prior"]) == 2
    assert trainable.boundary.memory.means.grad is not None
    assert not BoundaryTrainable(made(), LossSettings()).parameter_groups("reconstruct")["prior"]


def test_pictures_without_landmarks_are_refused() -> None:
    bare = replace(portion(), points=None)
    with pytest.raises(DatasetError, match="landmarks"):
        BoundaryTrainable(made(), LossSettings()).shown([bare])
    torch.manual_seed(0)
    with pytest.raises(DatasetError, match="focal points"):
        BoundaryTrainable(BoundaryNetwork(TINY), LossSettings()).shown([portion()])


class Data:
    points = faces(12)[..., :2]


def test_a_start_fills_the_memory_from_the_data() -> None:
    recipe = FAMILY.recipe("preview")
    small = replace(recipe, network={**recipe.network, "size": 64, "widths": (4, 4), "latent": 4})
    trainable = start(small, {"people": Data()})
    memory = trainable.boundary.memory
    assert memory.filled and memory.centres.shape == (8, 32 * 32)
    np.testing.assert_array_equal(memory.centres, start(small, {"people": Data()}).boundary.memory.centres)
    with pytest.raises(DatasetError, match="landmarks are known"):
        start(small, {"people": object()})


# -- checkpoints and answers ----------------------------------------------------------------------------------------------


def saved(path: Any, settings: BoundarySettings) -> BoundaryTrainable:
    trainable = BoundaryTrainable(stirred(settings), LossSettings())
    tensors, network = trainable.checkpoint()
    save_checkpoint(path, tensors, ModelCard(family="boundary_vae", preset="preview", network=network))
    return trainable


@pytest.mark.parametrize("settings", [TINY, MOVING, replace(TINY, weight_norm=False)], ids=["paper", "motion", "plain"])
def test_a_checkpoint_gives_the_same_answers(tmp_path: Any, settings: BoundarySettings) -> None:
    trainable = saved(tmp_path / "m.safetensors", settings)
    loaded = load_network(tmp_path / "m.safetensors")
    assert loaded.settings == settings
    shown = trainable.shown([portion(settings)])

    def answer(network: BoundaryNetwork) -> Tensor:
        z, _ = network.appearance(shown.pictures, shown.maps)
        structure = network.structure(shown.target_maps, shown.maps)
        return network.decode(z, structure, shown.pictures, shown.points, shown.target_points).picture

    assert torch.equal(answer(loaded), answer(trainable.boundary))
    # At work the normalised weights are worked out once.
    network = BoundaryAnimator(tmp_path / "m.safetensors", device="cpu").network
    assert not [m for m in network.modules() if parametrize.is_parametrized(m)]
    torch.testing.assert_close(answer(network), answer(loaded), atol=1e-5, rtol=1e-5)


def test_starting_from_a_checkpoint(tmp_path: Any) -> None:
    trainable = saved(tmp_path / "m.safetensors", TINY)
    recipe = replace(FAMILY.recipe("paper"), network=TINY.as_record(), start=str(tmp_path / "m.safetensors"))
    again = start(recipe)
    assert int(again.boundary.draws) == 0
    for name, tensor in trainable.checkpoint()[0].items():
        assert torch.equal(again.boundary.state_dict()[name], tensor)
    with pytest.raises(CheckpointError, match="another latent"):
        start(replace(recipe, network={**TINY.as_record(), "latent": 9}))
    with pytest.raises(CheckpointError, match="comb"):
        save_checkpoint(tmp_path / "c.safetensors", {}, ModelCard(family="comb", preset="", network={}))
        load_network(tmp_path / "c.safetensors")


@pytest.mark.parametrize("settings", [TINY, MOVING], ids=["paper", "motion"])
def test_answers(settings: BoundarySettings) -> None:
    animator = BoundaryAnimator(stirred(settings), device="cpu")
    assert animator.signals == {"landmarks"} and animator.oval_share == 0.5
    picture, own, rows = still(settings), faces(1)[0], faces(6, seed=3)
    drive = Drive(strength=np.array([1, 0, 1, 0.5, 1, 1], np.float32), landmarks=rows, still_landmarks=own)
    result = animator.animate(picture, drive)
    assert result.crops.shape == (6, 32, 32, 3)
    assert result.crops.min() >= 0 and result.crops.max() <= 1
    np.testing.assert_array_equal(result.crops[1], picture)
    assert all(not np.array_equal(result.crops[row], picture) for row in (0, 2, 3, 4, 5))
    # A row does not depend on its neighbours, and half the strength is half of the way.
    alone = animator.animate(picture, Drive(strength=np.ones(1, np.float32), landmarks=rows[4:5], still_landmarks=own))
    np.testing.assert_array_equal(alone.crops[0], result.crops[4])
    half = Drive(strength=np.ones(1, np.float32), landmarks=(own + rows[3:4]) / 2, still_landmarks=own)
    np.testing.assert_allclose(animator.animate(picture, half).crops[0], result.crops[3], atol=2e-5)
    if settings.motion:
        assert result.motion is not None and result.motion.shape == (6, 32, 32, 2)
        assert not result.motion[1].any() and result.motion[0].any()
    else:
        assert result.motion is None


def test_an_anchored_still_that_is_asked_for_itself_comes_back() -> None:
    picture, own = still(MOVING), faces(1)[0]
    drive = Drive(strength=np.ones(2, np.float32), landmarks=np.stack([own, own + 0.001]), still_landmarks=own)
    result = BoundaryAnimator(stirred(MOVING), device="cpu").animate(picture, drive)
    np.testing.assert_array_equal(result.crops[0], picture)
    assert result.motion is not None and not result.motion[0].any()
    assert np.abs(result.crops[1] - picture).mean() < 0.02, "and what follows grows out of it"
    free = BoundaryAnimator(stirred(MOVING), device="cpu", anchored=False).animate(picture, drive)
    assert np.abs(free.crops[0] - picture).mean() > 0.02


def test_paint_can_be_kept_to_the_mouth() -> None:
    """Away from the mouth the answer is the moved still and nothing else; inside it is what the network paints."""
    picture, own, rows = still(MOVING), faces(1)[0], faces(2, seed=3)
    drive = Drive(strength=np.ones(2, np.float32), landmarks=rows, still_landmarks=own)
    free = BoundaryAnimator(stirred(MOVING), device="cpu").animate(picture, drive)
    network = stirred(replace(MOVING, paints="mouth"))
    held = BoundaryAnimator(network, device="cpu").animate(picture, drive)
    assert free.motion is not None and held.motion is not None
    np.testing.assert_array_equal(held.motion, free.motion)
    moved = carried(
        torch.from_numpy(picture).permute(2, 0, 1)[None].expand(2, -1, -1, -1),
        torch.from_numpy(held.motion).permute(0, 3, 1, 2),
    )
    plain = moved.permute(0, 2, 3, 1).numpy()
    openings = opening_masks(rows.astype(np.float64) * 32, MOVING.topology, 32, openings=MOUTH)
    far = cv2.GaussianBlur(openings.max(axis=0), (0, 0), 3) < 1e-3
    assert far.mean() > 0.2
    np.testing.assert_allclose(held.crops[:, far], plain[:, far], atol=1e-5)
    assert np.abs(free.crops[:, far] - plain[:, far]).max() > 1e-3
    inside = openings > 0.99
    np.testing.assert_allclose(held.crops[inside], free.crops[inside], atol=0.05)
    with pytest.raises(OptionError, match="paints 'sometimes'"):
        replace(MOVING, paints="sometimes")


def test_drives_that_are_not_understood() -> None:
    animator, picture, own = BoundaryAnimator(made(), device="cpu"), still(TINY), faces(1)
    one = np.ones(1, np.float32)
    with pytest.raises(OptionError, match="lacks"):
        animator.animate(picture, Drive(strength=one, landmarks=own))
    with pytest.raises(OptionError, match="478 landmarks"):
        animator.animate(picture, Drive(strength=one, landmarks=own[:, :68], still_landmarks=own[0]))
    with pytest.raises(OptionError, match="2 strengths"):
        animator.animate(picture, Drive(strength=np.ones(2, np.float32), landmarks=own, still_landmarks=own[0]))
    with pytest.raises(OptionError, match="takes"):
        animator.animate(picture[:16], Drive(strength=one, landmarks=own, still_landmarks=own[0]))


def test_latent_handles_of_the_papers_network() -> None:
    animator, picture, own = BoundaryAnimator(stirred(TINY), device="cpu"), still(TINY), faces(1)
    appearance, structure = animator.encode(picture, own[0])
    assert appearance.shape == (8,) and structure.ndim == 1
    answer = animator.animate(picture, Drive(strength=np.ones(1, np.float32), landmarks=own, still_landmarks=own[0]))
    np.testing.assert_allclose(animator.decode(appearance, structure), answer.crops[0], atol=1e-5)
    other, _ = animator.encode(still(TINY, 1), own[0])
    half = animator.decode((appearance + other) / 2, structure)
    assert half.shape == (32, 32, 3) and np.isfinite(half).all()
    with pytest.raises(OptionError, match="encode both"):
        animator.decode(appearance[:5], structure)


def test_latent_handles_of_a_network_with_motion() -> None:
    animator, own = BoundaryAnimator(made(MOVING), device="cpu"), faces(2)
    # Smooth, for the picture is fetched twice: to the mean face and on.
    picture = np.linspace(0, 1, 32, dtype=np.float32)[:, None, None] * np.ones((1, 32, 3), np.float32)
    appearance, structure = animator.encode(picture, own[0])
    assert structure.shape == (478 * 2,)
    made_of_both = animator.decode(appearance, animator.encode(still(MOVING), own[1])[1])
    assert made_of_both.shape == (32, 32, 3)
    back = animator.decode(appearance, structure)
    # An untrained network only moves.
    assert np.abs(back - picture).mean() < 0.02
