"""The judges of a reconstruction: which are taken, where they look, what they answer beside the published networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from understudy.blocks import onnx_graph
from understudy.blocks.onnx_file import OnnxFile, OnnxNode
from understudy.errors import CheckpointError, WeightsError
from understudy.faces.align import canonical_transform, mean_mesh
from understudy.families.regional_inversion import judges
from understudy.families.regional_inversion.inversion_training import InversionNetwork, InversionTrainable
from understudy.families.regional_inversion.judges import Judges, distances, find_judges
from understudy.families.regional_inversion.judges_identity import OnnxIdentity, template_place
from understudy.families.regional_inversion.judges_lpips import SQUEEZE_CHANNELS, Lpips, SqueezeFeatures, load_lpips
from understudy.families.regional_inversion.losses import InversionLosses, reconstruction_loss
from understudy.families.regional_inversion.recipes import recipe
from understudy.families.regional_inversion.settings import RegionalSettings
from understudy.metrics.identity import TEMPLATE, embed, five_points
from understudy.provenance import weights

JUDGED = {"lpips": 0.8, "identity": 0.1}


def foreign(*names: str) -> list[Path]:
    """Paths of foreign weights, or the test is skipped."""
    try:
        return [weights.find(name) for name in names]
    except WeightsError as error:
        pytest.skip(str(error))


@pytest.fixture
def empty_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("UNDERSTUDY_MODELS", str(tmp_path))
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path))
    return tmp_path


def pictures(count: int, side: int, seed: int = 0) -> Tensor:
    """Smooth ones in [-1, 1]."""
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return nn.functional.interpolate(coarse, size=side, mode="bilinear", align_corners=False)


# -- LPIPS -------------------------------------------------------------------------------------------------------------------


def test_squeezenet_at_full_size(tmp_path: Path) -> None:
    """torchvision's names and shapes, written down; the convolutions alone or the whole network."""
    fires = {3: (64, 16, 64), 4: (128, 16, 64), 6: (128, 32, 128), 7: (256, 32, 128)}
    fires |= {9: (256, 48, 192), 10: (384, 48, 192), 11: (384, 64, 256), 12: (512, 64, 256)}
    features = {"0.weight": torch.zeros(64, 3, 3, 3), "0.bias": torch.ones(64)}
    for k, (inputs, few, each) in fires.items():
        shapes = {"squeeze": (few, inputs, 1, 1), "expand1x1": (each, few, 1, 1), "expand3x3": (each, few, 3, 3)}
        for part, shape in shapes.items():
            features |= {f"{k}.{part}.weight": torch.zeros(shape), f"{k}.{part}.bias": torch.zeros(shape[0])}
    heads = {f"lin{k}.model.1.weight": torch.ones(1, c, 1, 1) for k, c in enumerate(SQUEEZE_CHANNELS)}
    torch.save(heads, tmp_path / "heads.pth")
    torch.save(features, tmp_path / "alone.pth")
    whole = {f"features.{name}": x for name, x in features.items()} | {"classifier.1.bias": torch.zeros(1000)}
    torch.save(whole, tmp_path / "whole.pth")
    for name in ("alone.pth", "whole.pth"):
        judge = load_lpips(tmp_path / name, tmp_path / "heads.pth", squeeze=True)
        assert [x.shape[1] for x in judge.net(pictures(1, 64))] == list(SQUEEZE_CHANNELS)
        assert float(judge(pictures(1, 64), pictures(1, 64, 1))) == 0.0  # all features are 1 or 0
    del features["12.squeeze.bias"]
    torch.save(features, tmp_path / "alone.pth")
    with pytest.raises(CheckpointError, match="lacks features.12.squeeze.bias"):
        load_lpips(tmp_path / "alone.pth", tmp_path / "heads.pth", squeeze=True)


def test_places_where_nothing_answers_have_no_slope_and_no_bad_number() -> None:
    judge = Lpips(SqueezeFeatures()).requires_grad_(False)
    for name, parameter in judge.named_parameters():
        if name.endswith("bias") and "net" in name:
            nn.init.zeros_(parameter)
    flat = torch.tensor([-0.030, -0.088, -0.188])[:, None, None].expand(
        1, 3, 32, 32
    )  # standardised, it is 0 everywhere
    made = flat.clone().requires_grad_()
    judge(made, pictures(1, 32)).backward()
    assert made.grad is not None and bool(made.grad.isfinite().all())


def test_lpips_asks_about_smaller_copies_down_to_256() -> None:
    asked: list[int] = []

    class Asked(Lpips):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            asked.append(a.shape[-1])
            return (a - b).square().mean()

    only = InversionLosses(l2=0, identity=0, parsing=0, adversarial=0, lpips=1.0)
    for side in (64, 128, 256, 512, 1024):
        x = torch.ones(1, 3, 1, 1).expand(1, 3, side, side)
        total, _ = reconstruction_loss(x, 0 * x, only, Judges(lpips=Asked(SqueezeFeatures())))
        assert total.item() == {512: 2.0, 1024: 3.0}.get(side, 1.0)
    assert asked == [64, 128, 256, 512, 256, 1024, 512, 256]


def test_squeezenets_lpips_is_the_published_one() -> None:
    features, heads, measure = foreign("squeezenet", "lpips-squeeze-heads", "lpips-squeeze")
    judge = load_lpips(features, heads, squeeze=True)
    a, b = pictures(2, 128), (pictures(2, 128) * 0.8 + 0.1 * torch.randn(2, 3, 128, 128)).clamp(-1, 1)
    session = onnxruntime.InferenceSession(str(measure), providers=["CPUExecutionProvider"])
    theirs = np.asarray(session.run(None, {"a": a.numpy(), "b": b.numpy()})[0]).mean()
    assert float(judge(a, b)) == pytest.approx(float(theirs), abs=1e-5) and theirs > 0.05
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert float(judge(a, b)) == pytest.approx(float(theirs), abs=1e-5)


# -- identity ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("oval_share", [0.5, 0.6, 0.68])
def test_eyes_and_mouth_of_a_crop_come_to_arcfaces_template(oval_share: float) -> None:
    """The mean mesh is put anywhere in a picture, cut as every face is, and its five points are looked for."""
    face = mean_mesh() * 300 + np.array([400.0, 350.0, 0.0])
    points = canonical_transform(face, oval_share=oval_share).points_to_crop(face, 1)
    matrix, scale = template_place(oval_share)
    crop_places = 2 * five_points(points) - 1
    picture_places = (crop_places - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    found = (picture_places + 1) / 2 * 112 - 0.5
    assert np.abs(found - TEMPLATE).max() < 4.0  # the mean face is not ArcFace's, but near it
    assert np.abs((found - TEMPLATE).mean(0)).max() < 1e-6
    assert scale == pytest.approx(112 / np.sqrt(np.linalg.det(matrix[:, :2])))


def small_recogniser(monkeypatch: pytest.MonkeyPatch, **changes: object) -> None:
    """Every ONNX file is a mean over 16 pixels each, over 4 of those each, and all of that as an embedding."""

    def mean(name: str, inputs: str, side: int) -> OnnxNode:
        settings = {"kernel_shape": (side, side), "strides": (side, side)}
        return OnnxNode(operator="AveragePool", inputs=(inputs,), outputs=(name,), attributes=settings)

    flat = OnnxNode(operator="Flatten", inputs=("b",), outputs=("y",), attributes={})
    file = {"nodes": [mean("a", "x", 4), mean("b", "a", 2), flat], "constants": {}, "inputs": ("x",), "outputs": ("y",)}
    monkeypatch.setattr(onnx_graph, "read_onnx", lambda path: OnnxFile(**{**file, **changes}))  # type: ignore[arg-type]


def test_a_recogniser_answers_at_every_side_and_last_with_its_embedding(monkeypatch: pytest.MonkeyPatch) -> None:
    small_recogniser(monkeypatch)
    judge = OnnxIdentity("it.onnx", oval_share=0.6)
    assert judge.taps == ["a", "b"]
    shown = pictures(2, 128)
    answers = judge(shown)
    assert [tuple(x.shape) for x in answers] == [(2, 3 * 28**2), (2, 3 * 14**2), (2, 3 * 14**2)]
    torch.testing.assert_close(answers[1], nn.functional.avg_pool2d(judge.aligned(shown), 8).flatten(1))
    finer = nn.functional.interpolate(shown, size=1024, mode="bilinear", align_corners=False)
    torch.testing.assert_close(judge.aligned(finer), judge.aligned(shown), atol=0.05, rtol=0)
    for changes in ({"outputs": ("y", "a")}, {"inputs": ("x", "z")}):
        small_recogniser(monkeypatch, **changes)
        with pytest.raises(CheckpointError, match="takes and gives more than one thing"):
            OnnxIdentity("it.onnx")
    small_recogniser(monkeypatch, nodes=[OnnxNode(operator="ReduceMean", inputs=("x",), outputs=("y",), attributes={})])
    with pytest.raises(CheckpointError, match="gives no embedding"):
        OnnxIdentity("it.onnx")


def test_a_pixel_lies_where_it_lay(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ramp across the crop: every pixel of the cut knows its column of the crop."""
    small_recogniser(monkeypatch)
    judge = OnnxIdentity("it.onnx", oval_share=0.6)
    ramp = ((torch.arange(128) + 0.5) / 128).expand(1, 3, 128, 128) * 2 - 1
    cut = judge.aligned(ramp)[0, 0] * 0.229 + 0.485  # red, by ImageNet's mean and deviation
    matrix, _ = template_place(0.6)
    row, column = 70, 30
    place = matrix @ np.array([(column + 0.5) / 56 - 1, (row + 0.5) / 56 - 1, 1.0])
    assert float(cut[row, column]) == pytest.approx((place[0] + 1) / 2, abs=1e-5)


def test_mobilefacenets_embedding_is_onnx_runtimes() -> None:
    (path,) = foreign("mobilefacenet")
    judge = OnnxIdentity(path, oval_share=0.6)
    shown = pictures(3, 128)
    answers = judge(shown)
    assert [x.shape[1] for x in answers] == [128 * 56**2, 256 * 28**2, 512 * 14**2, 512 * 7**2, 128]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    faces = judge.aligned(shown).numpy()
    theirs = np.concatenate([np.asarray(session.run(None, {"input0": face[None]})[0]) for face in faces])
    np.testing.assert_allclose(answers[-1].numpy(), theirs, atol=1e-4)

    # The measure of that name cuts by the picture's own landmarks. Those of a mean face lie where the judge expects them.
    half = (shown[:1] + 1) / 2
    points = np.array([0.5, 0.52]) + 0.6 * mean_mesh()[:, :2]
    measured = embed(half[0].permute(1, 2, 0).numpy(), points * 128)
    mirrored = judge.graph(judge.aligned(shown[:1]).flip(3))[0]
    ours = (answers[-1][:1] + mirrored)[0]
    assert float(nn.functional.cosine_similarity(ours, torch.from_numpy(measured).float(), 0)) > 0.999


def test_gradients_of_the_recogniser_are_differences() -> None:
    (path,) = foreign("mobilefacenet")
    judge = OnnxIdentity(path, oval_share=0.6).requires_grad_(False)
    truth, other, way = pictures(2, 128), pictures(2, 128, 1), pictures(2, 128, 2)
    made = (0.7 * truth + 0.3 * other).requires_grad_()
    wanted = judge(truth)
    distances(judge(made), wanted).backward()
    assert made.grad is not None and truth.grad is None
    step = 2e-3
    with torch.no_grad():
        ahead, behind = (float(distances(judge(made + side * step * way), wanted)) for side in (1, -1))
    assert float((made.grad * way).sum()) == pytest.approx((ahead - behind) / (2 * step), rel=0.05)


# -- which are taken ---------------------------------------------------------------------------------------------------------


def test_the_papers_come_first_and_are_named(empty_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    def lpips(*files: Path, squeeze: bool) -> Lpips:
        loaded.extend([*(file.name for file in files), f"squeeze {squeeze}"])
        return Lpips(SqueezeFeatures())

    def identity(file: Path, **options: float) -> nn.Module:
        loaded.append(f"{file.name} {options}")
        return nn.Identity()

    monkeypatch.setattr(judges, "load_lpips", lpips)
    monkeypatch.setattr(judges, "load_identity", identity)
    monkeypatch.setattr(judges, "load_onnx_identity", identity)
    monkeypatch.setattr(weights, "_verify", lambda weight, path: None)
    with pytest.raises(
        WeightsError, match="alexnet.*squeezenet and lpips-squeeze-heads would do as well.*--without lpips"
    ):
        find_judges(JUDGED)
    with pytest.raises(WeightsError, match="arcface-ir-se50.*mobilefacenet would do as well.*--without identity"):
        find_judges({"identity": 0.1})
    for name in ("squeezenet", "lpips-squeeze-heads", "mobilefacenet"):
        (empty_models / weights.get(name).file).touch()
    found = find_judges(JUDGED, oval_share=0.6)
    assert found.teachers == ("lpips-squeeze", "mobilefacenet") and found.parser is None
    wanted = ["lpips_squeeze_backbone.pth", "lpips_squeeze_lin_v0.1.pth", "squeeze True"]
    assert loaded == [*wanted, "mobilefacenet_foamliu.onnx {'oval_share': 0.6}"]
    assert find_judges({"gram": 1.0}).teachers == ("lpips-squeeze",)
    assert find_judges({"identity": 0.1}, stand_ins=("mobilefacenet",)).teachers == ("mobilefacenet",)
    with pytest.raises(WeightsError, match="--without identity") as refused:
        find_judges({"identity": 0.1}, stand_ins=("lpips-squeeze",))
    assert "would do" not in str(refused.value)
    for name in ("alexnet", "lpips-alex", "arcface-ir-se50"):
        (empty_models / weights.get(name).file).touch()
    assert find_judges(JUDGED).teachers == ("lpips-alex", "arcface-ir-se50")
    assert loaded[-2:] == ["squeeze False", "model_ir_se50.pth {}"]


def test_what_taught_a_network_is_known_to_its_training() -> None:
    tiny = RegionalSettings(
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
    losses = InversionLosses(lpips=0, identity=0, parsing=0)
    assert InversionTrainable(InversionNetwork(tiny), losses).taught_by == ()
    taught = InversionTrainable(InversionNetwork(tiny), losses, Judges(teachers=("mobilefacenet",)))
    assert taught.taught_by == ("mobilefacenet",)


def test_the_judged_preview_is_the_preview_and_two_terms() -> None:
    plain, judged = (recipe(preset, stage="inversion") for preset in ("preview", "preview-judged"))
    assert {name: value for name, value in judged.losses.items() if plain.losses[name] != value} == JUDGED
    assert judged.network == plain.network and judged.stages == plain.stages


def test_both_terms_fall_as_a_picture_comes_nearer() -> None:
    foreign("squeezenet", "lpips-squeeze-heads", "mobilefacenet")
    found = find_judges(JUDGED, oval_share=0.6)
    only = InversionLosses(l2=0, parsing=0, adversarial=0, lpips=0.8, identity=0.1)
    truth, other = pictures(2, 128), pictures(2, 128, 1)
    with torch.no_grad():
        far, near, same = (
            reconstruction_loss(truth + share * (other - truth), truth, only, found)[0].item()
            for share in (0.8, 0.2, 0.0)
        )
    assert far > near > same == pytest.approx(0, abs=1e-5)
