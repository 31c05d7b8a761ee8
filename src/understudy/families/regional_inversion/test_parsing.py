from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from understudy.checkpoint import ModelCard, save_checkpoint
from understudy.errors import CheckpointError, OptionError
from understudy.faces.regions import FROM_BISENET, Region
from understudy.families.regional_inversion.parsing import RegionParser, load_parser, region_parser
from understudy.families.regional_inversion.parsing_network import BiSeNet, ParserSettings, standardised
from understudy.families.regional_inversion.parsing_official import from_public, load_public
from understudy.families.regional_inversion.parsing_recipes import parsing_recipe
from understudy.families.regional_inversion.parsing_training import (
    ParsingLosses,
    ParsingTrainable,
    hard_cross_entropy,
    overlap_loss,
)

TINY = ParserSettings(classes=12, widths=(4, 4, 8, 8), context=4, guide=6, detail=4, size=64)


def published_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the public checkpoint, written down from its documentation and not from our network."""
    shapes: dict[str, tuple[int, ...]] = {}

    def normalised(name: str, channels: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{part}"] = (channels,)
        shapes[f"{name}.num_batches_tracked"] = ()

    def convolved(name: str, outputs: int, inputs: int, kernel: int) -> None:
        shapes[f"{name}.conv.weight"] = (outputs, inputs, kernel, kernel)
        normalised(f"{name}.bn", outputs)

    shapes["cp.resnet.conv1.weight"] = (64, 3, 7, 7)
    normalised("cp.resnet.bn1", 64)
    inputs = 64
    for layer, outputs in enumerate((64, 128, 256, 512), 1):
        for block in range(2):
            name = f"cp.resnet.layer{layer}.{block}"
            shapes[f"{name}.conv1.weight"] = (outputs, inputs, 3, 3)
            normalised(f"{name}.bn1", outputs)
            shapes[f"{name}.conv2.weight"] = (outputs, outputs, 3, 3)
            normalised(f"{name}.bn2", outputs)
            if inputs != outputs:
                shapes[f"{name}.downsample.0.weight"] = (outputs, inputs, 1, 1)
                normalised(f"{name}.downsample.1", outputs)
            inputs = outputs
    for name, channels in (("cp.arm16", 256), ("cp.arm32", 512)):
        convolved(f"{name}.conv", 128, channels, 3)
        shapes[f"{name}.conv_atten.weight"] = (128, 128, 1, 1)
        normalised(f"{name}.bn_atten", 128)
    convolved("cp.conv_head32", 128, 128, 3)
    convolved("cp.conv_head16", 128, 128, 3)
    convolved("cp.conv_avg", 128, 512, 1)
    convolved("ffm.convblk", 256, 256, 1)
    shapes["ffm.conv1.weight"] = (64, 256, 1, 1)
    shapes["ffm.conv2.weight"] = (256, 64, 1, 1)
    for name, channels, middle in (("conv_out", 256, 256), ("conv_out16", 128, 64), ("conv_out32", 128, 64)):
        convolved(f"{name}.conv", middle, channels, 3)
        shapes[f"{name}.conv_out.weight"] = (19, middle, 1, 1)
    return shapes


def test_public_checkpoint_loads_strictly(tmp_path):
    numbers = torch.Generator().manual_seed(0)
    state = {
        name: torch.tensor(7) if not shape else torch.rand(shape, generator=numbers)
        for name, shape in published_shapes().items()
    }
    # The published file has 53 289 463 bytes, of which its zip directory takes some tens of thousands.
    assert 53_289_463 - 60_000 < 4 * sum(value.numel() for value in state.values()) < 53_289_463
    path = tmp_path / "79999_iter.pth"
    torch.save({f"module.{name}": value for name, value in state.items()}, path)
    network = load_public(path)
    assert network.state_dict().keys() == state.keys()
    assert all((network.state_dict()[name] == value).all() for name, value in state.items())


def test_public_checkpoint_of_another_shape_is_refused(tmp_path):
    state = BiSeNet().state_dict()
    with pytest.raises(CheckpointError, match="lacks cp.conv_avg.bn.bias"):
        from_public({name: value for name, value in state.items() if "conv_avg.bn.bias" not in name})
    with pytest.raises(CheckpointError, match="has another shape of conv_out"):
        from_public({**state, "conv_out.conv_out.weight": torch.zeros(12, 256, 1, 1)})
    with pytest.raises(CheckpointError, match="also holds extra"):
        from_public({**state, "extra": torch.zeros(1)})
    with pytest.raises(CheckpointError, match="no network's state"):
        from_public([1, 2])
    broken = tmp_path / "x.pth"
    broken.write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_public(broken)


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(CheckpointError):
        load_public(path)
    assert not (tmp_path / "ran").exists()


def test_preview_is_small_and_answers_at_half_size():
    network = BiSeNet(ParserSettings(**parsing_recipe("preview").network)).to("meta").eval()
    assert 1_000_000 < sum(value.numel() for value in network.parameters()) < 2_000_000
    heads = network.scores(torch.empty(1, 9, 256, 256, device="meta"))
    assert [tuple(head.shape) for head in heads] == [
        (1, 12, 128, 128),
        (1, 12, 32, 32),
        (1, 12, 32, 32),
        (1, 12, 16, 16),
    ]


def test_published_network_answers_at_an_eighth():
    network = BiSeNet().to("meta").eval()
    heads = network.scores(torch.empty(1, 3, 512, 512, device="meta"))
    assert [tuple(head.shape) for head in heads] == [(1, 19, 64, 64), (1, 19, 64, 64), (1, 19, 32, 32)]
    assert network(torch.empty(2, 3, 512, 512, device="meta")).shape == (2, 19, 512, 512)


def test_hard_cross_entropy_by_hand():
    # Probabilities of the right class: 0.9, 0.8, 0.5, 0.2; under 0.7 are the last two.
    right = torch.tensor([0.9, 0.8, 0.5, 0.2])
    scores = torch.stack([right.log(), (1 - right).log()]).reshape(1, 2, 2, 2)
    regions, known = torch.zeros(1, 2, 2, dtype=torch.long), torch.ones(1, 2, 2, dtype=torch.bool)
    expected = -(np.log(0.5) + np.log(0.2)) / 2
    assert float(hard_cross_entropy(scores, regions, known, below=0.7)) == pytest.approx(expected, rel=1e-5)
    # Nothing under 0.1: half of the pixels count all the same, the hardest.
    assert float(hard_cross_entropy(scores, regions, known, below=0.1, least=0.5)) == pytest.approx(expected, rel=1e-5)
    # A pixel that nobody knows does not count.
    known[0, 1, 1] = False
    assert float(hard_cross_entropy(scores, regions, known, below=0.7)) == pytest.approx(-np.log(0.5), rel=1e-5)
    assert float(hard_cross_entropy(scores, regions, known & False, below=0.7)) == 0


def test_overlap_by_hand():
    # Two pixels: of class 0 with share 0.75, of class 1 with share 0.5; class 2 is not shown and does not count.
    shares = torch.tensor([[0.75, 0.25, 0.0], [0.5, 0.5, 0.0]]).T.reshape(1, 3, 1, 2).clamp_min(1e-9)
    regions = torch.tensor([[[0, 1]]])
    dice = (2 * 0.75 / (1.25 + 1) + 2 * 0.5 / (0.75 + 1)) / 2
    loss = overlap_loss(shares.log(), regions, torch.ones(1, 1, 2, dtype=torch.bool))
    assert float(loss) == pytest.approx(1 - dice, rel=1e-5)


def test_nineteen_classes_are_joined_to_twelve():
    network = BiSeNet(ParserSettings(widths=(4, 4, 8, 8), context=4, size=64))
    parser = RegionParser(network, device="cpu")
    crop = np.random.default_rng(0).random((1, 64, 64, 3)).astype(np.float32)
    shares = parser.parse(crop)
    with torch.no_grad():
        given = network(standardised(torch.from_numpy(crop).permute(0, 3, 1, 2))).softmax(1)[0].numpy()
    for region in Region:
        expected = given[[place for place in range(19) if FROM_BISENET[place] == region]].sum(0)
        np.testing.assert_allclose(shares[0, ..., region], expected, atol=1e-6)
    np.testing.assert_allclose(shares.sum(-1), 1, atol=1e-5)


def test_guide_is_seen_and_crops_do_not_depend_on_their_neighbours():
    torch.manual_seed(0)
    parser = RegionParser(BiSeNet(TINY), device="cpu")
    numbers = np.random.default_rng(0)
    crops = numbers.random((5, 64, 64, 3)).astype(np.float32)
    guides = (numbers.random((5, 6, 64, 64)) * 255).astype(np.uint8)
    shares = parser.parse(crops, guides)
    assert shares.shape == (5, 64, 64, 12)
    np.testing.assert_allclose(parser.parse(crops[4:], guides[4:])[0], shares[4], atol=1e-5)
    assert np.abs(parser.parse(crops) - shares).max() > 1e-3
    with pytest.raises(OptionError, match="multiple of 32"):
        parser.parse(crops[:, :50, :50])


def test_training_learns_and_its_checkpoint_is_read_again(tmp_path):
    from understudy.dataset.batches import Portion

    torch.manual_seed(0)
    trainable = ParsingTrainable(BiSeNet(TINY), ParsingLosses(heads=0.3, overlap=0.3))
    regions = torch.zeros(4, 1, 64, 64)
    regions[:, :, 20:44, 20:44] = 6
    inputs = (regions / 6).expand(-1, 9, -1, -1)
    portion = Portion(identity="people", inputs=inputs, targets=regions, weights=torch.ones(4, 1, 64, 64))
    optimiser = torch.optim.Adam(trainable.parser.parameters(), lr=1e-2)
    figures = []
    for _ in range(60):
        optimiser.zero_grad()
        loss, parts = trainable.loss("parser", [portion], 1.0)
        loss.backward()
        optimiser.step()
        figures.append(float(parts["right"]))
    assert figures[-1] > 0.95 > figures[0]
    assert trainable.preview([portion], 1.0).shape == (128, 2 * 192, 3)

    tensors, card = trainable.checkpoint()
    path = tmp_path / "parser.safetensors"
    save_checkpoint(path, tensors, ModelCard(family="regional_inversion", preset="preview", network=card))
    network = load_parser(path)
    assert asdict(network.settings) == asdict(TINY)
    read = torch.cat([standardised(inputs[:, :3]), inputs[:, 3:]], 1)
    # Checkpoints keep half the bytes; against the same rounding nothing may differ.
    kept = {k: v.half().to(v.dtype) if v.is_floating_point() else v for k, v in trainable.parser.state_dict().items()}
    trainable.parser.load_state_dict(kept)
    trainable.parser.eval()
    with torch.no_grad():
        np.testing.assert_array_equal(network.eval()(read).argmax(1), trainable.parser(read).argmax(1))
    save_checkpoint(
        path, tensors, ModelCard(family="regional_inversion", preset="preview", network={"stage": "generator"})
    )
    with pytest.raises(CheckpointError, match="not of its parser"):
        region_parser(path)


@pytest.mark.parametrize("name", ["anton_r1", "jun_r2"])
def test_the_packaged_parser_reads_a_face_that_it_has_not_seen(name):
    """The demo's first frames, without the mesh: regions lie above each other as they do in a face."""
    import understudy
    from understudy.media.clip import open_clip

    with open_clip(Path(understudy.__file__).parent / "jobs" / "demo_media" / f"{name}.mp4") as clip:
        view = clip.frame(1).view()
    parser = region_parser(device="cpu")
    crop = view.reshape(256, 2, 256, 2, 3).mean((1, 3))
    found = parser.parse(crop[None])[0].argmax(-1)
    shares = {region: (found == region).mean() for region in Region}
    assert 0.1 < shares[Region.SKIN] < 0.25 and 0.04 < shares[Region.HAIR] < 0.12 and 0.02 < shares[Region.NECK] < 0.1
    heights = [np.nonzero(found == region)[0].mean() for region in (Region.HAIR, Region.NOSE, Region.LIPS, Region.NECK)]
    assert heights == sorted(heights)
    assert not found[:10].any() and not found[:, :20].any() and not found[:, -20:].any()
