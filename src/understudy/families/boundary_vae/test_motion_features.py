"""The motion of points, and the features in which pictures are compared."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from torch.nn import functional

from understudy.errors import OptionError, WeightsError
from understudy.families.boundary_vae.features import (
    FilterFeatures,
    VggFeatures,
    feature_distance,
    feature_network,
    find_vgg,
    load_vgg,
)
from understudy.families.boundary_vae.motion import carried, coarse_motion

# -- motion ---------------------------------------------------------------------------------------------------------------


def test_points_that_stay_move_nothing() -> None:
    points = torch.rand(2, 50, 2)
    assert not coarse_motion(points, points, 16).any()


def test_a_crowd_of_points_carries_all_between_them() -> None:
    lattice = torch.stack(torch.meshgrid(*[torch.linspace(0.3, 0.7, 21)] * 2, indexing="xy"), -1).reshape(1, -1, 2)
    shift = torch.tensor([0.05, -0.03])
    field = coarse_motion(lattice - shift, lattice, 64)
    inside = field[0, :, 24:40, 24:40]
    torch.testing.assert_close(inside, -shift[:, None, None].expand(-1, 16, 16), rtol=0.02, atol=0)
    assert field[0, :, 0, 0].norm() < 0.01 * shift.norm(), "and nothing in the corner"
    assert field[0, :, :2].norm(dim=0).max() < 0.5 * shift.norm(), "less at the border"


def test_a_lone_point_is_fetched_from_where_it_was() -> None:
    # The target's point lies on the centre of a cell: (20.5, 40.5) / 64.
    target = torch.tensor([[[20.5 / 64, 40.5 / 64]]])
    point = target + torch.tensor([0.04, 0.02])
    field = coarse_motion(point, target, 64)
    # By hand: coarse d · 1 / (1 + 1), then (d + d / 2 · 0.05) / 1.05.
    expected = torch.tensor([0.04, 0.02]) * (1 + 0.5 * 0.05) / 1.05
    torch.testing.assert_close(field[0, :, 40, 20], expected)


def test_points_of_one_picture_do_not_move_another() -> None:
    numbers = torch.Generator().manual_seed(0)
    points, targets = torch.rand(2, 3, 20, 2, generator=numbers)
    together = coarse_motion(points, targets, 16)
    for row in range(3):
        torch.testing.assert_close(coarse_motion(points[row : row + 1], targets[row : row + 1], 16)[0], together[row])


def test_carrying_by_whole_pixels() -> None:
    picture = torch.rand(1, 3, 8, 8)
    motion = torch.zeros(1, 2, 8, 8)
    motion[:, 0] = 2 / 8
    motion[:, 1] = -1 / 8
    made = carried(picture, motion)
    torch.testing.assert_close(made[..., 1:, :6], picture[..., :7, 2:], atol=1e-5, rtol=0)
    torch.testing.assert_close(made[..., 1:, 7], picture[..., :7, 7], atol=1e-5, rtol=0)  # the border is repeated
    torch.testing.assert_close(carried(picture, torch.zeros(1, 2, 4, 4)), picture, atol=1e-5, rtol=0)


# -- features -------------------------------------------------------------------------------------------------------------


def textured(size: int = 32) -> torch.Tensor:
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_a_flat_picture_has_no_features() -> None:
    features = FilterFeatures()
    answers = features(torch.full((1, 3, 32, 32), 0.4))
    assert [answer.shape for answer in answers] == [(1, 15, side, side) for side in (32, 16, 8, 4)]
    for answer in answers:
        torch.testing.assert_close(answer, torch.zeros_like(answer), atol=1e-5, rtol=0)
    assert not list(features.parameters()) and not features.state_dict()


def test_a_ramps_slope_by_hand() -> None:
    """Brightness rising by 0.02 a pixel to the right: the first filter across answers slope · Σ a² g / Σ |a| g, pressed."""
    ramp = (torch.arange(32) * 0.02).expand(1, 3, 32, 32)
    at = torch.arange(-2, 3).float()
    smooth = torch.exp(-(at**2) / 2) / torch.exp(-(at**2) / 2).sum()
    raw = 0.02 * float((at**2 * smooth).sum() / (at.abs() * smooth).sum())
    answers = FilterFeatures()(ramp)[0][0, :5, 16, 16]
    torch.testing.assert_close(
        answers.abs(), torch.tensor([0.0, raw / (0.1 + raw), 0.0, 0.0, 0.0]), atol=1e-5, rtol=1e-4
    )


def test_a_blur_costs_more_than_a_change_of_light() -> None:
    features, picture = FilterFeatures(), textured()
    ones = torch.ones(2, 1, 32, 32)
    blurred = functional.avg_pool2d(functional.pad(picture, (1, 1, 1, 1), mode="reflect"), 3, 1)
    distance = lambda other: float(feature_distance(features(other), features(picture), features.weights, ones))  # noqa: E731
    assert distance(picture) == 0
    assert distance(blurred) > 5 * distance(picture + 0.05)
    none = feature_distance(features(blurred), features(picture), features.weights, 0 * ones)
    assert float(none) == 0


VGG_KEYS = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30]
VGG_CHANNELS = [3, 64, 64, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 512, 512]


def test_vgg_has_torchvisions_layout() -> None:
    with torch.device("meta"):
        network = VggFeatures()
        answers = network(torch.zeros(1, 3, 64, 64))
    expected = {}
    for key, inputs, outputs in zip(VGG_KEYS, VGG_CHANNELS[:-1], VGG_CHANNELS[1:], strict=True):
        expected |= {f"features.{key}.weight": (outputs, inputs, 3, 3), f"features.{key}.bias": (outputs,)}
    assert {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()} == expected
    assert [tuple(a.shape[1:]) for a in answers] == [
        *((64, 64, 64), (128, 32, 32), (256, 16, 16), (512, 8, 8), (512, 4, 4))
    ]


def test_a_users_vgg_is_found_and_checked(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_MODELS", str(tmp_path))
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "none"))
    with pytest.raises(WeightsError, match="vgg19-dcbb9e9d.pth"):
        feature_network("vgg19")
    path = tmp_path / "vgg19-00000000.pth"
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, path)
    assert find_vgg() == path
    with pytest.raises(WeightsError, match="does not begin with 00000000"):
        load_vgg(path)
    honest = path.rename(tmp_path / f"vgg19-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pth")
    with pytest.raises(WeightsError, match="does not hold VGG19"):
        load_vgg(honest)
    with pytest.raises(OptionError, match="filters or vgg19"):
        feature_network("lpips")


def test_a_whole_vgg_loads(tmp_path) -> None:
    from safetensors.torch import save_file

    torch.manual_seed(0)
    truth = VggFeatures()
    # torchvision's file also holds what follows; it is not needed.
    more = {"features.32.weight": torch.zeros(2), "classifier.0.bias": torch.zeros(2)}
    save_file({**truth.state_dict(), **more}, tmp_path / "vgg19.safetensors")
    loaded = load_vgg(tmp_path / "vgg19.safetensors")
    picture = torch.from_numpy(np.random.default_rng(0).random((1, 3, 32, 32), np.float32))
    for ours, theirs in zip(loaded(picture), truth(picture), strict=True):
        assert torch.equal(ours, theirs)
