"""face-vid2vid: its published layout, its geometry against values worked by hand, and a small one at work."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from understudy.errors import CheckpointError, InternalError
from understudy.families.regional_inversion.face_vid2vid import (
    PARTS,
    DrivenSource,
    FaceVid2Vid,
    Vid2VidDriver,
    load_published,
)
from understudy.families.regional_inversion.face_vid2vid_layers import (
    Shrunk,
    Spade,
    SpectralConvolution,
    places,
    sampled,
)
from understudy.families.regional_inversion.face_vid2vid_motion import bells, proposed_motions
from understudy.families.regional_inversion.face_vid2vid_points import (
    HeadMotion,
    KeyPoints,
    degrees,
    mean_places,
    posed,
    rotation,
)
from understudy.families.regional_inversion.face_vid2vid_settings import Vid2VidSettings

Shapes = dict[str, tuple[int, ...]]
TINY = Vid2VidSettings(
    size=64,
    points=5,
    channels=4,
    depth=4,
    width=8,
    residuals=1,
    modulator=8,
    compressed=2,
    motion_width=4,
    motion_widest=8,
    motion_levels=2,
    detector_width=4,
    detector_widest=8,
    detector_levels=2,
    estimator_width=4,
)


# -- the layout, written down from the published code's names and configuration ----------------------------------------------


def convolution(name: str, given: int, made: int, side: int, dimensions: int = 2) -> Shapes:
    return {f"{name}.weight": (made, given) + (side,) * dimensions, f"{name}.bias": (made,)}


def normalisation(name: str, width: int) -> Shapes:
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{part}": (width,) for part in parts} | {f"{name}.num_batches_tracked": ()}


def block(name: str, given: int, made: int, dimensions: int = 2) -> Shapes:
    return convolution(f"{name}.conv", given, made, 3, dimensions) | normalisation(f"{name}.norm", made)


def published_detector() -> Shapes:
    widths = [32, 64, 128, 256, 512, 1024]
    shapes: Shapes = {"down.weight": (3, 1, 13, 13)} | convolution("kp", 32, 15, 3, 3)
    shapes |= convolution("predictor.conv", 1024, 16 * 1024, 1)
    for level in range(5):
        given = widths[level] if level else 3
        shapes |= block(f"predictor.down_blocks.down{level}", given, widths[level + 1])
        shapes |= block(f"predictor.up_blocks.up{level}", widths[5 - level], widths[4 - level], 3)
    return shapes


def bottleneck(name: str, width: int, *, halves: bool = False) -> Shapes:
    inner = width // 4
    shapes: Shapes = {}
    for number, (given, made, side) in enumerate(((width, inner, 1), (inner, inner, 3), (inner, width, 1)), 1):
        shapes |= convolution(f"{name}.conv{number}", given, made, side)
        shapes |= normalisation(f"{name}.norm{number}", made)
    if halves:
        shapes |= convolution(f"{name}.skip", width, width, 1) | normalisation(f"{name}.norm4", width)
    return shapes


def published_estimator() -> Shapes:
    shapes = convolution("conv1", 3, 64, 7) | normalisation("norm1", 64)
    for number, given in ((2, 64), (3, 256), (4, 512), (5, 1024)):
        made = 128 << (number - 1)
        shapes |= convolution(f"conv{number}", given, made, 1) | normalisation(f"norm{number}", made)
    for number, width in ((2, 512), (4, 1024), (6, 2048)):
        shapes |= bottleneck(f"block{number}", width, halves=True)
    for number, width, count in ((1, 256, 3), (3, 512, 3), (5, 1024, 5), (7, 2048, 2)):
        for place in range(count):
            shapes |= bottleneck(f"block{number}.b{number}_{place}", width)
    for name, made in (("roll", 66), ("pitch", 66), ("yaw", 66), ("t", 3), ("exp", 45)):
        shapes |= {f"fc_{name}.weight": (made, 2048), f"fc_{name}.bias": (made,)}
    return shapes


def modulation(name: str, width: int) -> Shapes:
    shapes = convolution(f"{name}.mlp_shared.0", 256, 128, 3)
    return shapes | convolution(f"{name}.mlp_gamma", 128, width, 3) | convolution(f"{name}.mlp_beta", 128, width, 3)


def spectral(name: str, given: int, made: int, side: int) -> Shapes:
    vectors = {f"{name}.weight_u": (made,), f"{name}.weight_v": (given * side * side,)}
    return {f"{name}.weight_orig": (made, given, side, side)} | vectors


def decoder_block(name: str, given: int, made: int) -> Shapes:
    inner = min(given, made)
    shapes = spectral(f"{name}.conv_0", given, inner, 3) | spectral(f"{name}.conv_1", inner, made, 3)
    shapes |= {f"{name}.conv_0.bias": (inner,), f"{name}.conv_1.bias": (made,)}
    shapes |= modulation(f"{name}.norm_0", given) | modulation(f"{name}.norm_1", inner)
    if given != made:
        shapes |= spectral(f"{name}.conv_s", given, made, 1) | modulation(f"{name}.norm_s", given)
    return shapes


def published_generator() -> Shapes:
    motion = "dense_motion_network"
    shapes: Shapes = {}
    # 16 proposals of 4 channels and a heat map: 80.
    for level, (given, made) in enumerate(((80, 64), (64, 128), (128, 256), (256, 512), (512, 1024))):
        shapes |= block(f"{motion}.hourglass.encoder.down_blocks.{level}", given, made, 3)
    for level, (given, made) in enumerate(((1024, 512), (1024, 256), (512, 128), (256, 64), (128, 32))):
        shapes |= block(f"{motion}.hourglass.decoder.up_blocks.{level}", given, made, 3)
    shapes |= block(f"{motion}.hourglass.decoder", 112, 112, 3)
    shapes |= convolution(f"{motion}.mask", 112, 16, 7, 3) | convolution(f"{motion}.compress", 32, 4, 1, 3)
    shapes |= normalisation(f"{motion}.norm", 4) | convolution(f"{motion}.occlusion", 112 * 16, 1, 7)
    shapes |= block("first", 3, 64) | block("down_blocks.0", 64, 128) | block("down_blocks.1", 128, 256)
    shapes |= convolution("second", 256, 512, 1) | block("third", 512, 256) | convolution("fourth", 256, 256, 1)
    for place in range(6):
        for number in (1, 2):
            shapes |= convolution(f"resblocks_3d.3dr{place}.conv{number}", 32, 32, 3, 3)
            shapes |= normalisation(f"resblocks_3d.3dr{place}.norm{number}", 32)
        shapes |= decoder_block(f"decoder.G_middle_{place}", 512, 512)
    shapes |= decoder_block("decoder.up_0", 512, 256) | decoder_block("decoder.up_1", 256, 64)
    return shapes | convolution("decoder.fc", 256, 512, 3) | convolution("decoder.conv_img", 64, 3, 3)


def of(shapes: Shapes) -> dict[str, Tensor]:
    """Tensors of these shapes that take no memory, and no room in a file."""
    return {name: torch.zeros(()).expand(shape) for name, shape in shapes.items()}


def published_file(path: Path, **changed: dict[str, Tensor]) -> Path:
    held: dict[str, object] = {
        "generator": of(published_generator()),
        "kp_detector": of(published_detector()),
        # Trained on several devices, a network's names begin so.
        "he_estimator": {f"module.{name}": value for name, value in of(published_estimator()).items()},
        "optimizer_generator": {"state": {0: {"step": 1, "exp_avg": torch.zeros(1)}}, "param_groups": [{"lr": 2e-4}]},
        "epoch": 189,
    }
    torch.save(held | changed, path)
    return path


def test_the_sizes_are_the_published_ones() -> None:
    """Each network by hand, and all of them by the size of a published file that also holds the discriminator and Adam's state."""
    with torch.device("meta"):
        network = FaceVid2Vid(Vid2VidSettings())
    counts = {name: sum(x.numel() for x in network.get_submodule(name).parameters()) for name in PARTS}
    assert counts == {"generator": 100_988_176, "kp_detector": 41_940_047, "he_estimator": 30_254_838}
    kept = sum(x.numel() for name, x in network.named_buffers() if not name.endswith("num_batches_tracked"))
    # The discriminator: 3, 64, 128, 256, 512 channels of 4 x 4, all but the first normalised, and one answer.
    widths = (3, 64, 128, 256, 512)
    judge = sum(16 * a * b + b for a, b in zip(widths, widths[1:], strict=False)) + 2 * (128 + 256 + 512) + 512 + 1
    vectors = sum(16 * a + b for a, b in zip(widths, widths[1:], strict=False)) + 512 + 1
    size = 4 * (3 * (sum(counts.values()) + judge) + kept + vectors)
    # What is left are names and the archive's own.
    assert 0 < 2_112_619_148 - size < 1_000_000


def test_names_and_shapes_are_the_published_ones(tmp_path: Path) -> None:
    path = published_file(tmp_path / "00000189-checkpoint.pth.tar")
    assert path.stat().st_size < 4_000_000
    network = load_published(path)
    assert not network.settings.jacobian and not network.training
    assert not any(x.is_meta for x in (*network.parameters(), *network.buffers()))
    assert not any(x.requires_grad for x in network.parameters())


def test_jacobians_are_read_where_the_file_has_them(tmp_path: Path) -> None:
    detector = published_detector() | convolution("jacobian", 32, 135, 3, 3)
    network = load_published(published_file(tmp_path / "with.pth.tar", kp_detector=of(detector)))
    assert network.settings.jacobian


def test_other_files_are_refused(tmp_path: Path) -> None:
    estimator = of(published_estimator())
    del estimator["fc_exp.bias"]
    path = published_file(tmp_path / "less.pth.tar", he_estimator=estimator)
    with pytest.raises(CheckpointError, match=r"he_estimator in .*less.pth.tar does not fit: it lacks fc_exp.bias;"):
        load_published(path)
    ten = of(published_detector() | convolution("kp", 32, 10, 3, 3))
    path = published_file(tmp_path / "ten.pth.tar", kp_detector=ten)
    with pytest.raises(CheckpointError, match=r"kp_detector in .* has another shape of kp.bias, kp.weight;"):
        load_published(path)
    # The generator without SPADE, as of the published weights' first version.
    plain = of({name: shape for name, shape in published_generator().items() if not name.startswith("decoder.")})
    path = published_file(tmp_path / "plain.pth.tar", generator=plain | of(convolution("final", 64, 3, 7)))
    with pytest.raises(CheckpointError, match=r"lacks decoder\..*also has final.bias"):
        load_published(path)
    torch.save({"generator": of(published_generator())}, tmp_path / "part.pth.tar")
    with pytest.raises(
        CheckpointError, match=r"holds generator, and no kp_detector and no he_estimator; name face-vid"
    ):
        load_published(tmp_path / "part.pth.tar")
    torch.save({"generator": Path("x")}, tmp_path / "runs.pth.tar")
    with pytest.raises(CheckpointError, match="holds more than tensors and is not opened"):
        load_published(tmp_path / "runs.pth.tar")
    with pytest.raises(CheckpointError, match="does not exist; name face-vid2vid's published file"):
        load_published(tmp_path / "nowhere.pth.tar")


# -- key points --------------------------------------------------------------------------------------------------------------


def test_places_are_centres_from_minus_one_to_one() -> None:
    grid = places(2, 3, 5, torch.zeros(()))
    assert grid.shape == (2, 3, 5, 3)
    torch.testing.assert_close(grid[0, 0, 0], torch.tensor([-1.0, -1.0, -1.0]))
    torch.testing.assert_close(grid[1, 2, 1], torch.tensor([-0.5, 1.0, 1.0]))


def test_a_key_point_is_its_heat_maps_centre() -> None:
    heat = torch.zeros(1, 2, 2, 3, 5)
    heat[0, 0, 1, 0, 3] = 1.0  # x 0.5, y -1, z 1
    heat[0, 1, 0, 2, 4], heat[0, 1, 1, 1, 0] = 0.25, 0.75  # (1, 1, -1) and (-1, 0, 1)
    wanted = torch.tensor([[[0.5, -1.0, 1.0], [-0.5, 0.25, 0.5]]])
    torch.testing.assert_close(mean_places(heat), wanted)


def test_an_angle_is_the_mean_of_its_classes() -> None:
    classes = torch.full((3, 66), -100.0)
    classes[0, 0], classes[1, 33] = 0.0, 0.0  # class 0 is -99 degrees, 33 none
    classes[2, 40], classes[2, 43] = math.log(0.25), math.log(0.75)  # 21 and 30
    torch.testing.assert_close(degrees(classes), torch.tensor([-99.0, 0.0, 27.75]), atol=1e-4, rtol=0)
    torch.testing.assert_close(degrees(torch.zeros(1, 66)), torch.tensor([-1.5]), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("angles", "point", "wanted"),
    [
        # With half a turn taken for 3.14, 90 degrees are 1.57, a little less than a quarter.
        ({"yaw": 90}, (1.0, 0.0, 0.0), (0.0008, 0.0, -1.0)),
        ({"yaw": 90}, (0.0, 0.0, 1.0), (1.0, 0.0, 0.0008)),
        ({"pitch": 90}, (0.0, 1.0, 0.0), (0.0, 0.0008, 1.0)),
        ({"roll": 90}, (1.0, 0.0, 0.0), (0.0008, 1.0, 0.0)),
        ({"roll": 60}, (1.0, 0.0, 0.0), (0.50046, 0.86576, 0.0)),  # cosine and sine of 1.04667
        # Roll first takes x to y, pitch then y to z; yaw between them leaves y alone.
        ({"roll": 90, "yaw": 30, "pitch": 90}, (1.0, 0.0, 0.0), (0.0007, 0.0012, 1.0)),
    ],
)
def test_heads_turn_by_roll_then_yaw_then_pitch(angles: dict[str, float], point, wanted) -> None:
    given = {name: torch.tensor([float(angles.get(name, 0))]) for name in ("yaw", "pitch", "roll")}
    turned = rotation(**given)[0] @ torch.tensor(point)
    torch.testing.assert_close(turned, torch.tensor(wanted), atol=1e-4, rtol=0)


def test_pose_and_expression_are_added_to_canonical_points() -> None:
    quarter = rotation(yaw=torch.zeros(1), pitch=torch.zeros(1), roll=torch.full((1,), 180 * math.pi / 2 / 3.14))
    motion = HeadMotion(
        rotation=quarter,
        shift=torch.tensor([[0.1, 0.2, 0.3]]),
        deviations=torch.tensor([[[0.0, 0.0, 0.0], [0.01, 0.0, -0.01]]]),
    )
    canonical = KeyPoints(
        values=torch.tensor([[[0.5, 0.0, 0.0], [0.0, 0.4, 0.2]]]), jacobians=torch.eye(3).expand(1, 2, 3, 3)
    )
    found = posed(canonical, motion)
    wanted = torch.tensor([[[0.1, 0.7, 0.3], [-0.29, 0.2, 0.49]]])
    torch.testing.assert_close(found.values, wanted, atol=1e-5, rtol=0)
    assert found.jacobians is not None
    torch.testing.assert_close(found.jacobians[0, 1], quarter[0])
    back = HeadMotion.from_rows(motion.rows())
    assert motion.rows().shape == (1, 18)
    for name in ("rotation", "shift", "deviations"):
        torch.testing.assert_close(getattr(back, name), getattr(motion, name))


# -- motion ------------------------------------------------------------------------------------------------------------------


def test_a_key_point_proposes_where_cells_come_from() -> None:
    grid = places(2, 3, 5, torch.zeros(()))
    driving = KeyPoints(values=torch.tensor([[[0.5, 0.0, 0.0], [0.0, 0.0, 0.0]]]))
    source = KeyPoints(values=torch.tensor([[[0.25, -0.5, 0.0], [0.0, 0.0, 0.5]]]))
    found = proposed_motions(grid, driving, source)
    assert found.shape == (1, 3, 2, 3, 5, 3)
    torch.testing.assert_close(found[0, 0], grid)
    # At the driving key point lies what lay at the source's; all else is shifted along.
    torch.testing.assert_close(found[0, 1] - grid, torch.tensor([-0.25, -0.5, 0.0]).expand_as(grid))
    torch.testing.assert_close(found[0, 2, 1, 1, 2], torch.tensor([0.0, 0.0, 1.5]))


def test_jacobians_turn_what_lies_around_a_key_point() -> None:
    grid = places(2, 3, 3, torch.zeros(()))
    doubled, halved = 2 * torch.eye(3)[None, None], 0.5 * torch.eye(3)[None, None]
    driving = KeyPoints(values=torch.tensor([[[1.0, 0.0, 0.0]]]), jacobians=halved)
    source = KeyPoints(values=torch.tensor([[[0.0, 0.5, 0.0]]]), jacobians=doubled)
    found = proposed_motions(grid, driving, source)[0, 1]
    # 2 / 0.5 = 4: the cell at (0, 1, -1) lies (-1, 1, -1) from the key point.
    torch.testing.assert_close(found[0, 2, 1], torch.tensor([-4.0, 4.5, -4.0]))
    torch.testing.assert_close(found[:, 1, 2, :2].mean(0), torch.tensor([0.0, 0.5]))


def test_bells_stand_on_key_points() -> None:
    grid = places(2, 3, 21, torch.zeros(()))
    heat = bells(grid, KeyPoints(values=torch.tensor([[[0.2, 0.0, 1.0]]])))[0, 0]
    assert heat[1, 1, 12] == pytest.approx(1.0, abs=1e-5)
    assert heat[1, 1, 13] == pytest.approx(math.exp(-0.5), abs=1e-5)  # a tenth away, variance 0.01
    assert heat[0, 1, 12] < 1e-6


def test_volumes_are_read_as_the_weights_learned_it() -> None:
    """Outermost centres are asked for, and outermost edges are read: half of a cell lies outside, where nothing is."""
    volume = torch.tensor([2.0, 6.0]).view(1, 1, 1, 1, 2)
    where = torch.tensor([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [-0.5, 0.0, 0.0], [0.0, 0.0, 0.0]]).view(1, 1, 1, 4, 3)
    torch.testing.assert_close(sampled(volume, where).flatten(), torch.tensor([1.0, 3.0, 2.0, 4.0]))


# -- layers ------------------------------------------------------------------------------------------------------------------


def test_spectral_convolutions_are_torchs() -> None:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = nn.utils.spectral_norm(nn.Conv2d(3, 5, 3, padding=1))
    x = torch.randn(2, 3, 6, 6)
    theirs(x)
    theirs.eval()
    ours = SpectralConvolution(3, 5, 3)
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours(x), theirs(x))


def test_a_guide_scales_and_shifts_what_is_normalised() -> None:
    spade = Spade(1, 2, 3)
    for part in (spade.mlp_gamma, spade.mlp_beta):
        nn.init.zeros_(part.weight)
    nn.init.constant_(spade.mlp_gamma.bias, 0.5)  # type: ignore[arg-type]
    nn.init.constant_(spade.mlp_beta.bias, 10.0)  # type: ignore[arg-type]
    x = torch.tensor([[1.0, 3.0], [1.0, 3.0]])[None, None]  # mean 2, deviation 1
    wanted = torch.tensor([[8.5, 11.5], [8.5, 11.5]])[None, None]
    torch.testing.assert_close(spade(x, torch.zeros(1, 2, 1, 1)), wanted, atol=1e-4, rtol=0)


def test_pictures_are_blurred_before_they_shrink() -> None:
    shrunk = Shrunk(3, 4)
    assert shrunk.weight.shape == (3, 1, 13, 13)
    assert shrunk.weight[0, 0, 6, 6] / shrunk.weight[0, 0, 6, 7] == pytest.approx(math.exp(1 / 4.5), rel=1e-5)
    picture = torch.zeros(1, 3, 64, 64)
    picture[0, 1, 20, 32] = 1.0
    small = shrunk(picture)
    assert small.shape == (1, 3, 16, 16) and small[0, 0].abs().max() == 0
    assert small[0, 1].argmax() == 5 * 16 + 8, "every fourth pixel, from the first"


# -- at work -----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def driver() -> Vid2VidDriver:
    torch.manual_seed(0)
    network = FaceVid2Vid(TINY)
    # A new estimator says the same of every picture.
    for layer in (network.he_estimator.fc_roll, network.he_estimator.fc_exp):
        nn.init.normal_(layer.weight, std=20.0)
    return Vid2VidDriver(network, device="cpu")


def pictures() -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [random.random((64, 64, 3), dtype=np.float32) for _ in range(2)]


def test_a_source_is_driven_by_another_picture(driver: Vid2VidDriver) -> None:
    still, other = pictures()
    source = driver.read(still)
    assert isinstance(source, DrivenSource) and source.volume.shape == (1, 4, 4, 16, 16)
    watched = driver.watch(other)
    assert watched.shape == (12 + 15,) and watched.dtype == np.float32
    made = driver.drive(source, watched)
    assert made.shape == (64, 64, 3) and made.dtype == np.float32
    assert made.min() >= 0 and made.max() <= 1
    np.testing.assert_array_equal(made, driver.drive(source, watched))
    assert np.abs(made - driver.drive(source, driver.watch(still))).max() > 1e-4, "another motion, another picture"
    with pytest.raises(InternalError, match="crops of 64 pixels a side"):
        driver.watch(other[:32])


def test_key_points_are_absolute(driver: Vid2VidDriver) -> None:
    """What drives is the source's canonical face with the other's pose and expression, and none of its own."""
    still, other = pictures()
    seen: list[KeyPoints] = []
    hook = driver.network.generator.register_forward_pre_hook(
        lambda module, args, given: seen.append(given["driving"]), with_kwargs=True
    )
    driver.drive(driver.read(still), driver.watch(other))
    hook.remove()
    as_batch = [torch.from_numpy(picture).permute(2, 0, 1)[None] for picture in (still, other)]
    with torch.inference_mode():
        wanted = posed(driver.network.kp_detector(as_batch[0]), driver.network.he_estimator(as_batch[1]))
    torch.testing.assert_close(seen[0].values, wanted.values)


def test_what_answers_yaw_is_called_roll(driver: Vid2VidDriver) -> None:
    estimator = FaceVid2Vid(TINY).he_estimator.eval()
    for layer, degree_class in ((estimator.fc_roll, 43), (estimator.fc_pitch, 33), (estimator.fc_yaw, 33)):
        nn.init.zeros_(layer.weight)
        nn.init.constant_(layer.bias, -100.0)
        layer.bias.data[degree_class] = 100.0
    with torch.inference_mode():
        found = estimator(torch.rand(1, 3, 64, 64)).rotation[0]
    # 43 is 30 degrees, of yaw: about y.
    torch.testing.assert_close(found[1], torch.tensor([0.0, 1.0, 0.0]), atol=1e-4, rtol=0)
    assert found[0, 2] == pytest.approx(math.sin(30 / 180 * 3.14), abs=1e-4)
