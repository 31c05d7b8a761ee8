"""StyleGAN2's layers against plain loops, its sizes against the published ones, and eq. 4 against the sum over all regions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from understudy.errors import OptionError
from understudy.families.regional_inversion.discriminator import Discriminator, with_deviation
from understudy.families.regional_inversion.generator import Generator, Noise, draw_noise, noise_sides, regional
from understudy.families.regional_inversion.layers import Blur, EqualLinear, ModulatedConv, Upsample
from understudy.families.regional_inversion.places import RegionMaps, cut, lay
from understudy.families.regional_inversion.settings import RegionalSettings, settings_of

TINY = RegionalSettings(
    size=16, widest=6, channel_base=64, latent=5, mapping_layers=2, encoder_size=32, regional_layers=99
)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def tiny_generator(settings: RegionalSettings = TINY) -> Generator:
    torch.manual_seed(0)
    generator = Generator(settings)
    with torch.no_grad():
        for module in generator.modules():
            if isinstance(module, Noise):
                module.weight.fill_(0.3)
    return generator.double()


def some_labels(batch: int, side: int, seed: int = 0) -> Tensor:
    """Patches of regions, each on some of the pictures."""
    numbers = np.random.default_rng(seed)
    labels = np.zeros((batch, side, side), np.uint8)
    for _ in range(3 * batch):
        row, top, left = numbers.integers(batch), *numbers.integers(0, side, 2)
        height, width = numbers.integers(1, side // 2 + 1, 2)
        labels[row, top : top + height, left : left + width] = numbers.integers(12)
    return torch.from_numpy(labels)


# -- published sizes --------------------------------------------------------------------------------------------------------


def test_sizes_at_1024_are_the_published_ones() -> None:
    """StyleGAN2's own listing of config F for FFHQ: 30,370,060 and 29,012,513 parameters."""
    settings = RegionalSettings()
    with torch.device("meta"):
        generator, discriminator = Generator(settings), Discriminator(settings)
        assert count(generator) == 30_370_060
        assert count(discriminator) == 29_012_513
        plain = generator(torch.zeros(2, 18, 512))
        masked = generator(torch.zeros(2, 12, 18, 512), RegionMaps(torch.zeros(2, 512, 512, dtype=torch.uint8)))
        assert plain.shape == masked.shape == (2, 3, 1024, 1024)
        answers = discriminator.features(plain)
        assert [a.shape[1:] for a in answers] == [
            *((64, 512, 512), (128, 256, 256), (256, 128, 128), (512, 64, 64)),
            *((512, 32, 32), (512, 16, 16), (512, 8, 8), (512, 4, 4)),
        ]
        assert discriminator.score(answers).shape == (2, 1)


def test_widths_and_layers() -> None:
    settings = RegionalSettings()
    assert [settings.channels(side) for side in settings.levels] == [512, 512, 512, 512, 512, 256, 128, 64, 32]
    assert (settings.layers, settings.learned_layers) == (18, 13)
    assert noise_sides(settings)[:5] == [4, 8, 8, 16, 16]
    assert len(noise_sides(settings)) == 17
    small = RegionalSettings(size=128, channel_base=4096, widest=128)
    assert (small.layers, small.learned_layers) == (12, 12)


def test_the_first_thirteen_layers_reach_to_256() -> None:
    """What K = 13 masks: convolutions up to 256², colours up to 128² (and so with the published code)."""
    with torch.device("meta"):
        generator = Generator(RegionalSettings())
    layers = {name: generator.layer_of(name) for name, _ in generator.named_parameters()}
    masked = {name.split(".conv.")[0] for name, layer in layers.items() if 0 <= layer < 13 and ".conv." in name}
    assert masked == {"conv1", "to_rgb1", *(f"convs.{i}" for i in range(12)), *(f"to_rgbs.{i}" for i in range(5))}
    assert layers["style.1.weight"] == layers["input.input"] == -1


@pytest.mark.parametrize(
    "wrong",
    [
        *({"size": 100}, {"encoder_size": 100}, {"encoder_widths": (1, 2)}, {"widest": 0}, {"channel_base": 10}),
        *({"regional_layers": 0}, {"pooling": "mean"}, {"oval_share": 0.0}),
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(OptionError, match="regional_inversion: "):
        settings_of(wrong)


# -- layers against plain loops ----------------------------------------------------------------------------------------------


def plain_conv(x: np.ndarray, weight: np.ndarray, up: bool) -> np.ndarray:
    """(I, h, w) by (O, I, 3, 3), zeros around; with ``up`` zeros between, then [1, 3, 3, 1] / 4 in both directions."""
    outputs, inputs = weight.shape[:2]
    height, width = x.shape[1:]
    if not up:
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
        answer = np.zeros((outputs, height, width))
        for o in range(outputs):
            for r in range(height):
                for c in range(width):
                    answer[o, r, c] = (padded[:, r : r + 3, c : c + 3] * weight[o]).sum()
        return answer
    spread = np.zeros((outputs, 2 * height + 1, 2 * width + 1))
    for o in range(outputs):
        for i in range(inputs):
            for r in range(height):
                for c in range(width):
                    spread[o, 2 * r : 2 * r + 3, 2 * c : 2 * c + 3] += x[i, r, c] * weight[o, i]
    row = np.array([1, 3, 3, 1]) / 4
    blurred = np.apply_along_axis(lambda line: np.convolve(np.pad(line, 1), row, "valid"), 1, spread)
    return np.apply_along_axis(lambda line: np.convolve(np.pad(line, 1), row, "valid"), 2, blurred)


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("demodulate", [False, True])
def test_modulated_convolution_is_the_plain_loop(up: bool, demodulate: bool) -> None:
    torch.manual_seed(1)
    conv = ModulatedConv(3, 2, 3, 4, demodulate=demodulate, up=up).double()
    x, codes = torch.randn(3, 3, 5, 4).double(), torch.randn(3, 4).double()
    style = conv.style(codes).detach().numpy()
    for picture in range(3):
        weight = conv.weight.detach().numpy() / math.sqrt(3 * 9)
        weight = weight * style[picture][None, :, None, None]
        if demodulate:
            for o in range(2):
                weight[o] /= math.sqrt((weight[o] ** 2).sum() + 1e-8)
        wanted = plain_conv(x[picture].numpy(), weight, up)
        for made in (conv.with_weights(x, codes), conv.with_scales(x, codes)):
            np.testing.assert_allclose(made[picture].detach().numpy(), wanted, atol=1e-6)


def test_styles_begin_at_one_and_scale_by_the_root_of_the_inputs() -> None:
    conv = ModulatedConv(3, 2, 3, 4)
    torch.testing.assert_close(conv.style(torch.zeros(1, 4)), torch.ones(1, 3))
    linear = EqualLinear(4, 2, lr_mul=0.01)
    x = torch.randn(3, 4)
    wanted = x @ linear.weight.T * 0.01 / 2 + linear.bias * 0.01
    torch.testing.assert_close(linear(x), wanted)


def test_upsampling_puts_zeros_between_and_blurs() -> None:
    x = torch.randn(1, 2, 3, 5, dtype=torch.float64)
    made = Upsample().double()(x)[0].numpy()
    row = np.array([1, 3, 3, 1]) / 4
    for channel in range(2):
        spread = np.zeros((6 + 3, 10 + 3))  # two zeros before, one after
        spread[2:8:2, 2:12:2] = x[0, channel].numpy()
        blurred = np.apply_along_axis(lambda line: np.convolve(line, row, "valid"), 0, spread)
        np.testing.assert_allclose(
            made[channel], np.apply_along_axis(lambda line: np.convolve(line, row, "valid"), 1, blurred)
        )


def test_a_blur_leaves_a_plane_as_it_is() -> None:
    made = Blur(2, 1)(torch.ones(1, 2, 6, 6))
    assert made.shape == (1, 2, 6, 6)
    torch.testing.assert_close(made[..., 2:-1, 2:-1], torch.ones(1, 2, 3, 3))
    # Around is nothing: of the eighths 1, 3, 3, 1 only the last two lie inside at the corner.
    assert made[0, 0, 0, 0] == (4 / 8) ** 2


# -- mask-guided injection ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_injection_where_regions_are_is_the_sum_over_all_regions(up: bool, seed: int) -> None:
    """Eq. 4, written out: every region's convolution of the whole map, times its mask, added up."""
    torch.manual_seed(seed)
    conv = ModulatedConv(3, 4, 3, 5, up=up).double()
    x, codes = torch.randn(3, 3, 16, 16).double(), torch.randn(3, 12, 5).double()
    labels = some_labels(3, 32 if up else 16, seed)
    wanted = sum((conv(x, codes[:, j]) * (labels == j)[:, None] for j in range(12)), torch.zeros(()))
    torch.testing.assert_close(regional(conv, x, codes, RegionMaps(labels)), wanted, atol=1e-6, rtol=0)
    torch.testing.assert_close(regional(conv, x, codes, RegionMaps(labels, everywhere=True)), wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("up", [False, True])
def test_pixel_by_pixel_is_the_sum_over_all_regions_but_at_their_edges(up: bool) -> None:
    torch.manual_seed(0)
    conv = ModulatedConv(3, 4, 3, 5, up=up).double()
    x, codes = torch.randn(2, 3, 16, 16).double(), torch.randn(2, 12, 5).double()
    labels = torch.zeros(2, 32, 32, dtype=torch.uint8)
    labels[:, :, 14:] = 6
    made = regional(conv, x, codes, RegionMaps(labels, by_pixel=True))
    wanted = regional(conv, x, codes, RegionMaps(labels))
    edge = 14 if up else 7  # of the answer's pixels
    near = slice(edge - 3, edge + 3)
    apart = (made - wanted).abs().amax((0, 1, 2))
    assert apart[near].max() > 1e-3
    apart[near] = 0
    torch.testing.assert_close(apart, torch.zeros_like(apart), atol=1e-6, rtol=0)


def test_a_whole_generator_and_its_gradients_do_not_depend_on_where_it_looks() -> None:
    labels = some_labels(2, 32)
    answers = []
    for everywhere in (False, True):
        generator = tiny_generator()
        codes = (
            torch.randn(2, 12, TINY.layers, 5, generator=torch.Generator().manual_seed(1)).double().requires_grad_(True)
        )
        made = generator(codes, RegionMaps(labels, everywhere=everywhere))
        made.square().mean().backward()
        weight = dict(generator.named_parameters())["convs.1.conv.weight"]
        assert codes.grad is not None and weight.grad is not None
        answers.append((made, codes.grad, weight.grad, generator.input.input.grad))
    for found, wanted in zip(*answers, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-5)


def test_a_picture_does_not_depend_on_the_others_of_its_batch() -> None:
    generator, labels = tiny_generator(), some_labels(3, 16, 3)
    codes = torch.randn(3, 12, TINY.layers, 5).double()
    together = generator(codes, RegionMaps(labels))
    for row in range(3):
        torch.testing.assert_close(
            generator(codes[row : row + 1], RegionMaps(labels[row : row + 1])),
            together[row : row + 1],
            atol=1e-6,
            rtol=0,
        )


def test_one_code_for_all_regions_is_the_plain_generator() -> None:
    generator, codes = tiny_generator(), torch.randn(2, TINY.layers, 5).double()
    spread = codes[:, None].expand(-1, 12, -1, -1)
    torch.testing.assert_close(generator(spread, RegionMaps(some_labels(2, 16))), generator(codes), atol=1e-6, rtol=0)


def test_layers_from_k_on_hear_the_background_alone() -> None:
    settings = RegionalSettings(**{**vars(TINY), "regional_layers": 3})
    generator, labels = tiny_generator(settings), torch.full((1, 16, 16), 6, dtype=torch.uint8)
    codes = torch.randn(1, 12, settings.layers, 5).double()
    before = generator(codes, RegionMaps(labels))
    for layer in range(settings.layers):
        for region in (0, 6):
            changed = codes.clone()
            changed[:, region, layer] += 1
            heard = not torch.equal(generator(changed, RegionMaps(labels)), before)
            assert heard == (region == 6 if layer < 3 else region == 0), (layer, region)


def test_maps_shrink_to_the_nearest_pixel_towards_the_top_left() -> None:
    labels = torch.arange(16, dtype=torch.uint8).view(1, 4, 4)
    assert RegionMaps(labels).at(2).tolist() == [[[0, 2], [8, 10]]]
    assert RegionMaps(labels).at(8)[0, :3, :3].tolist() == [[0, 0, 1], [0, 0, 1], [4, 4, 5]]


def test_cutting_and_laying_have_first_and_second_derivatives() -> None:
    places = [((0, 1), (0, 2, 1, 3)), ((1,), (1, 4, 0, 2))]
    x = torch.randn(2, 2, 4, 4).double().requires_grad_(True)
    both = lambda x: lay([piece**2 for piece in cut(x, places)], places, x.shape)  # noqa: E731
    assert torch.autograd.gradcheck(both, x)
    assert torch.autograd.gradgradcheck(both, x)
    assert both(x)[0, :, 3].abs().sum() == 0


# -- noise, mapping, discriminator -------------------------------------------------------------------------------------------


def test_noise_is_fixed_unless_it_is_given() -> None:
    generator, codes = tiny_generator(), torch.randn(2, TINY.layers, 5).double()
    assert torch.equal(generator(codes), generator(codes))
    given = draw_noise(TINY, 2, torch.Generator().manual_seed(3), torch.device("cpu"))
    assert [n.shape for n in given] == [(2, 1, side, side) for side in noise_sides(TINY)]
    other = generator(codes, noise=given)
    assert not torch.allclose(other, generator(codes), atol=1e-3)
    assert torch.equal(other, generator(codes, noise=given))


def test_mapping_takes_off_the_length_of_z() -> None:
    generator, z = tiny_generator().float(), torch.randn(2, 5)
    torch.testing.assert_close(generator.map(z), generator.map(3 * z))
    assert generator.map(z).shape == (2, 5)


def test_the_spread_of_a_group_by_hand() -> None:
    x = torch.tensor([[0.0, 2.0], [2.0, 2.0]])[:, :, None, None].expand(-1, -1, 3, 3)
    # Channel 0 differs by a deviation of 1, channel 1 not at all.
    plane = with_deviation(x)[:, 2]
    torch.testing.assert_close(plane, torch.full((2, 3, 3), 0.5), atol=1e-4, rtol=0)
    alone = with_deviation(x[:1])[:, 2]
    assert alone.abs().max() < 2e-4
    # Six pictures make two groups of three: pictures 0, 2, 4 and 1, 3, 5.
    many = torch.tensor([0.0, 5, 0, 5, 0, 8]).view(6, 1, 1, 1)
    spreads = with_deviation(many)[:, 1].flatten()
    torch.testing.assert_close(spreads[::2], torch.full((3,), 1e-4))
    torch.testing.assert_close(spreads[1::2], torch.full((3,), math.sqrt(2)))


def test_a_discriminator_scores_its_features() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(TINY)
    pictures = torch.randn(4, 3, 16, 16)
    features = discriminator.features(pictures)
    assert [f.shape[-1] for f in features] == [8, 4]
    torch.testing.assert_close(discriminator(pictures), discriminator.score(features))
