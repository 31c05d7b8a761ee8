"""Published weights by their layouts: full-size states built from names and shapes, small files read, hostile ones refused."""

from __future__ import annotations

import argparse
import collections
import io
import os
import pickle
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from understudy.blocks.foreign import filled
from understudy.checkpoint import load_checkpoint
from understudy.errors import CheckpointError
from understudy.families.regional_inversion import inert_pickle
from understudy.families.regional_inversion.discriminator import Discriminator
from understudy.families.regional_inversion.generator import Generator
from understudy.families.regional_inversion.inert_pickle import Made, Name, read_records, tensor_of
from understudy.families.regional_inversion.judges_identity import IdentityNetwork
from understudy.families.regional_inversion.judges_lpips import AlexFeatures, Lpips, load_lpips
from understudy.families.regional_inversion.layers import blur_kernel
from understudy.families.regional_inversion.network import RegionalInversion
from understudy.families.regional_inversion.nvidia import discriminator_names, generator_names, read_nvidia
from understudy.families.regional_inversion.official import convert_official, e4s, read_published, stylegan
from understudy.families.regional_inversion.settings import RegionalSettings
from understudy.families.regional_inversion.start import load_inversion

CHANNELS = {4: 512, 8: 512, 16: 512, 32: 512, 64: 512, 128: 256, 256: 128, 512: 64, 1024: 32}
SIDES = tuple(CHANNELS)
TINY = RegionalSettings(
    size=16,
    widest=8,
    channel_base=128,
    latent=8,
    mapping_layers=2,
    regional_layers=3,
    encoder_size=256,
    encoder_widths=(4, 4, 8, 8, 8),
    encoder_blocks=(1, 1, 1, 1),
)
Shapes = dict[str, tuple[int, ...]]


def of(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Tensors of these shapes that take no memory."""
    return {name: torch.zeros(()).expand(shape) for name, shape in shapes.items()}


# -- layouts, written down from the published code's names -------------------------------------------------------------------


def port_generator() -> Shapes:
    shapes: Shapes = {"input.input": (1, 512, 4, 4)}
    for k in range(1, 9):
        shapes |= {f"style.{k}.weight": (512, 512), f"style.{k}.bias": (512,)}

    def styled(name: str, inputs: int, outputs: int, up: bool) -> Shapes:
        return {
            f"{name}.conv.weight": (1, outputs, inputs, 3, 3),
            f"{name}.conv.modulation.weight": (inputs, 512),
            f"{name}.conv.modulation.bias": (inputs,),
            f"{name}.noise.weight": (1,),
            f"{name}.activate.bias": (outputs,),
            **({f"{name}.conv.blur.kernel": (4, 4)} if up else {}),
        }

    def rgb(name: str, inputs: int, up: bool) -> Shapes:
        return {
            f"{name}.conv.weight": (1, 3, inputs, 1, 1),
            f"{name}.conv.modulation.weight": (inputs, 512),
            f"{name}.conv.modulation.bias": (inputs,),
            f"{name}.bias": (1, 3, 1, 1),
            **({f"{name}.upsample.kernel": (4, 4)} if up else {}),
        }

    shapes |= styled("conv1", 512, 512, False) | rgb("to_rgb1", 512, False)
    for k, side in enumerate(SIDES[1:]):
        shapes |= styled(f"convs.{2 * k}", CHANNELS[side // 2], CHANNELS[side], True)
        shapes |= styled(f"convs.{2 * k + 1}", CHANNELS[side], CHANNELS[side], False)
        shapes |= rgb(f"to_rgbs.{k}", CHANNELS[side], True)
    for k in range(17):
        side = 1 << ((k + 5) // 2)
        shapes[f"noises.noise_{k}"] = (1, 1, side, side)
    return shapes


def port_discriminator() -> Shapes:
    shapes: Shapes = {"convs.0.0.weight": (32, 3, 1, 1), "convs.0.1.bias": (32,)}
    for k, side in enumerate(SIDES[:0:-1], start=1):
        inputs, outputs = CHANNELS[side], CHANNELS[side // 2]
        shapes |= {
            f"convs.{k}.conv1.0.weight": (inputs, inputs, 3, 3),
            f"convs.{k}.conv1.1.bias": (inputs,),
            f"convs.{k}.conv2.0.kernel": (4, 4),
            f"convs.{k}.conv2.1.weight": (outputs, inputs, 3, 3),
            f"convs.{k}.conv2.2.bias": (outputs,),
            f"convs.{k}.skip.0.kernel": (4, 4),
            f"convs.{k}.skip.1.weight": (outputs, inputs, 1, 1),
        }
    return shapes | {
        "final_conv.0.weight": (512, 513, 3, 3),
        "final_conv.1.bias": (512,),
        "final_linear.0.weight": (512, 8192),
        "final_linear.0.bias": (512,),
        "final_linear.1.weight": (1, 512),
        "final_linear.1.bias": (1,),
    }


def e4s_state() -> Shapes:
    shapes: Shapes = {"encoder.input_layer.0.weight": (64, 3, 3, 3), "encoder.input_layer.2.weight": (64,)}
    widths = [(64, 128)] + [(128, 128)] * 2 + [(128, 256)] + [(256, 256)] * 3 + [(256, 512)] + [(512, 512)] * 16
    for k, (inputs, outputs) in enumerate(widths):
        block = f"encoder.body.{k}"
        shapes |= {
            f"{block}.res_layer.1.weight": (outputs, inputs, 3, 3),
            f"{block}.res_layer.2.weight": (outputs,),
            f"{block}.res_layer.3.weight": (outputs, outputs, 3, 3),
            f"{block}.res_layer.5.fc1.weight": (outputs // 16, outputs, 1, 1),
            f"{block}.res_layer.5.fc2.weight": (outputs, outputs // 16, 1, 1),
        }
        if k in (0, 3, 7):
            shapes[f"{block}.shortcut_layer.0.weight"] = (outputs, inputs, 1, 1)
    for k in range(12):
        shapes |= {f"MLPs.{k}.mlp.0.weight": (512, 1280), f"MLPs.{k}.mlp.0.bias": (512,)}
        shapes |= {f"MLPs.{k}.mlp.2.weight": (6656, 512), f"MLPs.{k}.mlp.2.bias": (6656,)}
    return shapes | {f"G.{name}": shape for name, shape in port_generator().items()}


def nvidia_generator() -> Shapes:
    shapes: Shapes = {"mapping.w_avg": (512,), "synthesis.b4.const": (512, 4, 4)}
    for k in range(8):
        shapes |= {f"mapping.fc{k}.weight": (512, 512), f"mapping.fc{k}.bias": (512,)}
    for side, outputs in CHANNELS.items():
        block = f"synthesis.b{side}"
        layers = {"conv1": outputs} if side == 4 else {"conv0": CHANNELS[side // 2], "conv1": outputs}
        for layer, inputs in layers.items():
            shapes |= {
                f"{block}.{layer}.weight": (outputs, inputs, 3, 3),
                f"{block}.{layer}.bias": (outputs,),
                f"{block}.{layer}.noise_const": (side, side),
                f"{block}.{layer}.noise_strength": (),
                f"{block}.{layer}.affine.weight": (inputs, 512),
                f"{block}.{layer}.affine.bias": (inputs,),
            }
        shapes |= {
            f"{block}.torgb.weight": (3, outputs, 1, 1),
            f"{block}.torgb.bias": (3,),
            f"{block}.torgb.affine.weight": (outputs, 512),
            f"{block}.torgb.affine.bias": (outputs,),
        }
    return shapes


def nvidia_discriminator() -> Shapes:
    shapes: Shapes = {"b1024.fromrgb.weight": (32, 3, 1, 1), "b1024.fromrgb.bias": (32,)}
    for side in SIDES[1:]:
        inputs, outputs = CHANNELS[side], CHANNELS[side // 2]
        shapes |= {f"b{side}.conv0.weight": (inputs, inputs, 3, 3), f"b{side}.conv0.bias": (inputs,)}
        shapes |= {f"b{side}.conv1.weight": (outputs, inputs, 3, 3), f"b{side}.conv1.bias": (outputs,)}
        shapes |= {f"b{side}.skip.weight": (outputs, inputs, 1, 1)}
    shapes |= {"b4.conv.weight": (512, 513, 3, 3), "b4.conv.bias": (512,)}
    return shapes | {"b4.fc.weight": (512, 8192), "b4.fc.bias": (512,), "b4.out.weight": (1, 512), "b4.out.bias": (1,)}


FILTERS = ("synthesis.b8.conv0.resample_filter", "b8.conv1.resample_filter")


def test_the_ports_file_at_full_size() -> None:
    published = stylegan(of(port_generator()), of(port_discriminator()), torch.ones(512), "it")
    assert published.settings == RegionalSettings()
    assert published.tensors["latent_avg"].shape == (18, 512)
    assert published.tensors["G.convs.15.conv.weight"].shape == (32, 32, 3, 3)
    assert sum(name.startswith("D.") for name in published.tensors) == len(port_discriminator())
    without = stylegan(of(port_generator()), None, torch.ones(512), "it")
    assert not any(name.startswith("D.") for name in without.tensors)


def test_e4s_file_at_full_size() -> None:
    found = {
        "state_dict": {f"module.{name}": x for name, x in of(e4s_state()).items()},
        "latent_avg": torch.ones(18, 512),
        "D_state_dict": of(port_discriminator()),
    }
    published = e4s(found, "it")
    assert published.settings == RegionalSettings()
    with torch.device("meta"):
        network = RegionalInversion(published.settings)
    own = {name: x for name, x in published.tensors.items() if not name.startswith("D.")}
    filled(network, own, "it")
    with pytest.raises(CheckpointError, match="has no state_dict_ema"):
        e4s(found, "it", averaged=True)


def test_nvidias_networks_at_full_size() -> None:
    generator = generator_names(of(nvidia_generator()) | {FILTERS[0]: blur_kernel()})
    assert {name: tuple(x.shape) for name, x in generator.items()} == port_generator()
    discriminator = discriminator_names(of(nvidia_discriminator()) | {FILTERS[1]: blur_kernel()})
    assert {name: tuple(x.shape) for name, x in discriminator.items()} == port_discriminator()
    assert stylegan(generator, discriminator, torch.ones(512), "it").settings == RegionalSettings()


def test_every_weight_of_nvidias_goes_to_a_place_of_its_own() -> None:
    numbered = {name: torch.full(shape, float(k)) for k, (name, shape) in enumerate(small_nvidia_shapes().items())}
    made = generator_names(numbered)
    places = {name: float(x.flatten()[0]) for name, x in made.items() if "kernel" not in name}
    assert len(set(places.values())) == len(places) == len(numbered) - 1  # all but the mean
    index = {name: k for k, name in enumerate(numbered)}
    assert places["convs.2.conv.weight"] == index["synthesis.b16.conv0.weight"]
    assert places["convs.1.activate.bias"] == index["synthesis.b8.conv1.bias"]
    assert places["noises.noise_2"] == index["synthesis.b8.conv1.noise_const"]
    assert places["to_rgb1.bias"] == index["synthesis.b4.torgb.bias"]


@pytest.mark.parametrize("name", ["mapping.embed.weight", "synthesis.b8.skip.weight", "synthesis.b8.conv1.weight_g"])
def test_other_architectures_are_refused(name: str) -> None:
    with pytest.raises(CheckpointError, match="plain one does not"):
        generator_names({name: torch.zeros(3)})
    with pytest.raises(CheckpointError, match="another filter"):
        generator_names({FILTERS[0]: torch.ones(4, 4)})
    with pytest.raises(CheckpointError, match="residual one does not"):
        discriminator_names({"b8.fromrgb.weight": torch.zeros(1), "b16.fromrgb.weight": torch.zeros(1)})


def test_a_missing_weight_is_named() -> None:
    generator = of(port_generator())
    del generator["convs.3.noise.weight"]
    with pytest.raises(CheckpointError, match="lacks convs.3.noise.weight; weights are loaded whole"):
        stylegan(generator, None, torch.ones(512), "it")
    with pytest.raises(CheckpointError, match="no mean code"):
        stylegan(of(port_generator()), None, None, "it")


def test_judges_at_full_size(tmp_path: Path) -> None:
    shapes: Shapes = {"input_layer.0.weight": (64, 3, 3, 3), "input_layer.2.weight": (64,)}
    norm = lambda name, c: {f"{name}.{part}": (c,) for part in ("weight", "bias", "running_mean", "running_var")}  # noqa: E731
    shapes |= norm("input_layer.1", 64)
    widths = [(64, 64)] * 3 + [(64, 128)] + [(128, 128)] * 3 + [(128, 256)] + [(256, 256)] * 13 + [(256, 512)]
    for k, (inputs, outputs) in enumerate([*widths, (512, 512), (512, 512)]):
        block = f"body.{k}"
        shapes |= norm(f"{block}.res_layer.0", inputs) | norm(f"{block}.res_layer.4", outputs)
        shapes |= {f"{block}.res_layer.1.weight": (outputs, inputs, 3, 3), f"{block}.res_layer.2.weight": (outputs,)}
        shapes |= {f"{block}.res_layer.3.weight": (outputs, outputs, 3, 3)}
        shapes |= {f"{block}.res_layer.5.fc1.weight": (outputs // 16, outputs, 1, 1)}
        shapes |= {f"{block}.res_layer.5.fc2.weight": (outputs, outputs // 16, 1, 1)}
        if inputs != outputs:
            shapes |= {f"{block}.shortcut_layer.0.weight": (outputs, inputs, 1, 1)}
            shapes |= norm(f"{block}.shortcut_layer.1", outputs)
    shapes |= norm("output_layer.0", 512) | norm("output_layer.4", 512)
    shapes |= {"output_layer.3.weight": (512, 25088), "output_layer.3.bias": (512,)}
    with torch.device("meta"):
        identity = IdentityNetwork()
        answers = identity.eval()(torch.zeros(2, 3, 1024, 1024))
    assert [a.shape[1] for a in answers] == [64 * 56**2, 128 * 28**2, 256 * 14**2, 512 * 7**2, 512]
    filled(identity, of(shapes), "it")

    alex = {
        "features.0.weight": (64, 3, 11, 11),
        "features.3.weight": (192, 64, 5, 5),
        "features.6.weight": (384, 192, 3, 3),
        "features.8.weight": (256, 384, 3, 3),
        "features.10.weight": (256, 256, 3, 3),
        **{f"features.{k}.bias": (c,) for k, c in ((0, 64), (3, 192), (6, 384), (8, 256), (10, 256))},
    }
    torch.save(of(alex) | {"classifier.6.bias": torch.zeros(1000)}, tmp_path / "alex.pth")
    heads = {f"lin{k}.model.1.weight": torch.ones(1, c, 1, 1) for k, c in enumerate((64, 192, 384, 256, 256))}
    torch.save(heads, tmp_path / "heads.pth")
    judge = load_lpips(tmp_path / "alex.pth", tmp_path / "heads.pth")
    assert float(judge(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64))) == 0.0  # all features are 0


def test_lpips_by_hand() -> None:
    """With heads of 1: the squared distance of features of unit length, averaged over places, summed over depths."""
    torch.manual_seed(0)
    judge = Lpips()
    for line in judge.lins:
        nn.init.ones_(line.model[1].weight)  # type: ignore[union-attr, index, arg-type]
    a, b = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    network = judge.net
    wanted = 0.0
    for ours, theirs in zip(network(a), network(b), strict=True):
        difference = nn.functional.normalize(ours, dim=1) - nn.functional.normalize(theirs, dim=1)
        wanted += float(difference.square().sum(1).mean().detach())
    judge.requires_grad_(False)
    assert float(judge(a, b)) == pytest.approx(wanted, rel=1e-4)
    assert float(judge(a, a)) == 0.0
    assert isinstance(network, AlexFeatures)


# -- small files --------------------------------------------------------------------------------------------------------------


def as_port(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The port keeps modulated weights with a dimension in front."""
    modulated = lambda name: name.endswith(".conv.weight")  # noqa: E731
    return {name: x[None] if modulated(name) else x for name, x in state.items()}


def test_a_file_of_the_ports_becomes_a_checkpoint(tmp_path: Path) -> None:
    generator, discriminator = Generator(TINY), Discriminator(TINY)
    file = {
        "g_ema": as_port(generator.state_dict()),
        "d": discriminator.state_dict(),
        "latent_avg": torch.arange(8.0),
        "args": argparse.Namespace(size=16),
    }
    torch.save(file, tmp_path / "g.pt")
    card = convert_official(tmp_path / "g.pt", tmp_path / "model.safetensors")
    assert "non-commercial" in card.licence
    tensors, card = load_checkpoint(tmp_path / "model.safetensors", family="regional_inversion")
    assert card.network["stage"] == "generator"
    read = Generator(TINY)
    read.load_state_dict({name.removeprefix("G."): x for name, x in tensors.items() if name.startswith("G.")})
    codes = torch.randn(1, TINY.layers, 8)
    assert torch.equal(read(codes), generator(codes))


def test_a_narrow_file_of_e4s_is_refused(tmp_path: Path) -> None:
    """Generators of other widths are known by their shapes; the encoder's are the published ones."""
    network = RegionalInversion(TINY)
    state = {name: x for name, x in as_port(network.state_dict()).items() if name != "latent_avg"}
    torch.save({"state_dict": state, "latent_avg": torch.ones(6, 8), "opts": {"lr": 1e-4}}, tmp_path / "e4s.pt")
    with pytest.raises(CheckpointError, match="does not fit: it lacks encoder"):
        convert_official(tmp_path / "e4s.pt", tmp_path / "model.safetensors")


def test_a_converted_e4s_network_performs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from understudy.families.regional_inversion import official

    network = RegionalInversion(TINY)
    state = {name: x for name, x in as_port(network.state_dict()).items() if name != "latent_avg"}
    torch.save({"state_dict": state, "latent_avg": torch.ones(6, 8)}, tmp_path / "e4s.pt")
    monkeypatch.setattr(official, "generator_settings", lambda *_: TINY)
    card = convert_official(tmp_path / "e4s.pt", tmp_path / "model.safetensors")
    assert card.network["stage"] == "inversion"
    read = load_inversion(tmp_path / "model.safetensors")
    assert isinstance(read, RegionalInversion)
    assert torch.equal(read.latent_avg, torch.ones(6, 8))
    torch.testing.assert_close(read.encoder.state_dict(), network.encoder.state_dict())


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        read_published(tmp_path / "no.pt")
    torch.save({"weights": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="holds weights; StyleGAN2's published file holds g_ema"):
        read_published(tmp_path / "other.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "other.pt").read_bytes()[:200])
    with pytest.raises(CheckpointError, match="damaged"):
        read_published(tmp_path / "cut.pt")


# -- NVIDIA's pickles -----------------------------------------------------------------------------------------------------------


def small_nvidia_shapes() -> Shapes:
    """The generator's names at 16²: 8 channels, codes of 8, two layers of mapping."""
    kept = {}
    for name, shape in nvidia_generator().items():
        side = name.split(".")[1]
        if name.startswith("mapping.fc") and int(name[10]) > 1:
            continue
        if side.startswith("b") and int(side[1:]) > 16:
            continue
        kept[name] = tuple(8 if n == 512 else n for n in shape)
    return kept


@pytest.fixture
def nvidia() -> Iterator[types.SimpleNamespace]:
    """Modules of the names that NVIDIA's pickles speak of, there only while a pickle is written."""
    fakes = {
        name: types.ModuleType(name) for name in ("dnnlib", "dnnlib.util", "torch_utils", "torch_utils.persistence")
    }

    def _reconstruct_persistent_obj(meta: Any) -> None:
        raise AssertionError("this must never be called")

    class EasyDict(dict):  # type: ignore[type-arg]
        pass

    EasyDict.__module__, EasyDict.__qualname__ = "dnnlib.util", "EasyDict"
    _reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    fakes["dnnlib.util"].EasyDict = EasyDict  # type: ignore[attr-defined]
    fakes["torch_utils.persistence"]._reconstruct_persistent_obj = _reconstruct_persistent_obj  # type: ignore[attr-defined]
    sys.modules.update(fakes)

    class Persistent:
        def __init__(self, state: Any) -> None:
            self.state = state

        def __reduce__(self) -> Any:
            source = "raise SystemExit('this is run where pickles are opened the usual way')"
            meta = EasyDict(type="class", version=6, module_src=source, class_name="Any", state=self.state)
            return _reconstruct_persistent_obj, (meta,)

    def network(tensors: Mapping[str, Tensor]) -> Persistent:
        here: dict[str, Any] = {"training": False, "_backward_hooks": collections.OrderedDict()}
        here |= {part: collections.OrderedDict() for part in ("_parameters", "_buffers", "_modules")}
        inner: dict[str, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            first, _, rest = name.partition(".")
            if rest:
                inner.setdefault(first, {})[rest] = value
            elif first in ("w_avg", "noise_const", "resample_filter"):
                here["_buffers"][first] = value
            else:
                here["_parameters"][first] = nn.Parameter(value)
        for name, held in inner.items():
            here["_modules"][name] = network(held)
        return Persistent(here)

    try:
        yield types.SimpleNamespace(network=network, EasyDict=EasyDict)
    finally:
        for name in fakes:
            sys.modules.pop(name, None)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_nvidias_pickle_is_read_without_opening_it(
    nvidia: types.SimpleNamespace, tmp_path: Path, protocol: int
) -> None:
    torch.manual_seed(0)
    tensors = {name: torch.randn(shape) for name, shape in small_nvidia_shapes().items()}
    whole = {"G": None, "D": None, "G_ema": nvidia.network(tensors), "training_set_kwargs": nvidia.EasyDict(a=1)}
    path = tmp_path / "ffhq.pkl"
    path.write_bytes(pickle.dumps(whole, protocol=protocol))
    generator, discriminator, mean = read_nvidia(path)
    assert discriminator is None
    torch.testing.assert_close(mean, tensors["mapping.w_avg"])
    wanted = generator_names(tensors)
    assert generator.keys() == wanted.keys()
    for name, value in generator.items():
        torch.testing.assert_close(value, wanted[name])
    published = read_published(path)
    assert published.settings.size == 16
    assert (published.settings.widest, published.settings.latent, published.settings.mapping_layers) == (8, 8, 2)


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


def test_what_a_pickle_would_run_is_not_run(nvidia: types.SimpleNamespace, tmp_path: Path) -> None:
    trace = tmp_path / "run"
    tensors = {name: torch.randn(shape) for name, shape in small_nvidia_shapes().items()}
    evil = Evil(trace)
    path = tmp_path / "evil.pkl"
    # Beside the networks: read past.
    path.write_bytes(pickle.dumps({"G_ema": nvidia.network(tensors), "augment_pipe": evil, "D": None}))
    read_nvidia(path)
    assert not trace.exists()
    # In place of everything, of the network, of a tensor, and inside a tensor's bytes.
    whole = nvidia.network(tensors)
    mapping = whole.state["_modules"]["mapping"].state
    for held in (evil, {"G_ema": evil}):
        path.write_bytes(pickle.dumps(held))
        with pytest.raises(CheckpointError, match="Nothing in it was run"):
            read_nvidia(path)
    mapping["_buffers"]["w_avg"] = evil
    path.write_bytes(pickle.dumps({"G_ema": whole}))
    with pytest.raises(CheckpointError, match="where a tensor should be there is something else"):
        read_nvidia(path)
    hidden = Made(
        Name("torch._utils", "_rebuild_tensor_v2"),
        (Made(Name("torch.storage", "_load_from_bytes"), (pickle.dumps(evil),)), 0, (1,), (1,), False, {}),
    )
    with pytest.raises(CheckpointError):
        tensor_of(hidden)
    assert not trace.exists()
    pickle.loads(pickle.dumps(evil))  # noqa: S301  opened the usual way it is run
    assert trace.exists()


def test_records_note_calls_and_make_none() -> None:
    class Odd:
        def __reduce__(self) -> Any:
            return exec, ("raise SystemExit",)

    record = read_records(io.BytesIO(pickle.dumps([Odd(), {"a": (1, 2.5, b"x", None, True)}, {3}])))
    assert record[0].what == Name("builtins", "exec")
    assert record[0].arguments == ("raise SystemExit",)
    assert record[1] == {"a": (1, 2.5, b"x", None, True)}
    assert record[2] == [3]


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(6.0).view(2, 3).t(),
        torch.arange(6, dtype=torch.float16)[2:5],
        torch.tensor(3.0),
        torch.zeros(0, 3),
        torch.tensor([True, False]),
        torch.arange(3, dtype=torch.float64),
    ],
)
def test_tensors_are_read_from_their_bytes(tensor: Tensor, protocol: int) -> None:
    record = read_records(io.BytesIO(pickle.dumps(tensor, protocol=protocol)))
    wanted = tensor.float() if tensor.is_floating_point() else tensor
    assert torch.equal(tensor_of(record), wanted)


def test_tensors_that_reach_beyond_their_numbers_are_refused() -> None:
    record = read_records(io.BytesIO(pickle.dumps(torch.arange(4.0))))
    storage, _, _, *rest = record.arguments
    for offset, size, strides in ((1, (4,), (1,)), (0, (5,), (1,)), (0, (2, 2), (1, 3)), (-1, (2,), (1,))):
        record.arguments = (storage, offset, size, strides, *rest)
        with pytest.raises(CheckpointError, match="tensor"):
            tensor_of(record)


@pytest.mark.parametrize(
    "data", [b"", b"nonsense", pickle.dumps([1, 2])[:-3], b"\x80\x04\x82\x01.", b"Pname\n.", b"\x80\x04ub."]
)
def test_damaged_and_strange_pickles_are_refused(data: bytes) -> None:
    with pytest.raises(CheckpointError):
        read_records(io.BytesIO(data))


def test_endless_pickles_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inert_pickle, "MOST_STEPS", 100)
    with pytest.raises(CheckpointError, match="more instructions"):
        read_records(io.BytesIO(pickle.dumps(list(range(1000)))))
