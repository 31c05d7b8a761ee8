"""ONNX graphs written byte by byte here: every operator beside ONNX Runtime, gradients, damaged and unknown files."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from understudy.blocks.onnx_file import read_onnx
from understudy.blocks.onnx_graph import OnnxGraph
from understudy.errors import CheckpointError

KINDS = {"float32": 1, "int64": 7, "float16": 10, "float64": 11}


# -- the format, as far as it is needed --------------------------------------------------------------------------------------


def number(value: int) -> bytes:
    value &= (1 << 64) - 1
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def whole(field: int, value: int) -> bytes:
    return number(field << 3) + number(value)


def part(field: int, value: bytes | str) -> bytes:
    value = value.encode() if isinstance(value, str) else value
    return number(field << 3 | 2) + number(len(value)) + value


def weight(name: str, values: np.ndarray) -> bytes:
    dims = b"".join(whole(1, side) for side in values.shape)
    return dims + whole(2, KINDS[values.dtype.name]) + part(8, name) + part(9, values.tobytes())


def attribute(name: str, value: Any) -> bytes:
    if isinstance(value, float):
        return part(1, name) + number(2 << 3 | 5) + struct.pack("<f", value) + whole(20, 1)
    if isinstance(value, int):
        return part(1, name) + whole(3, value) + whole(20, 2)
    if isinstance(value, str):
        return part(1, name) + part(4, value) + whole(20, 3)
    if isinstance(value, np.ndarray):
        return part(1, name) + part(5, weight("", value)) + whole(20, 4)
    return part(1, name) + b"".join(whole(8, item) for item in value) + whole(20, 7)


def node(operator: str, inputs: Sequence[str], output: str, **settings: Any) -> bytes:
    names = b"".join(part(1, name) for name in inputs) + part(2, output) + part(4, operator)
    return names + b"".join(part(5, attribute(name, value)) for name, value in settings.items())


def value(name: str, rank: int = 0) -> bytes:
    sides = b"".join(part(1, part(2, f"{name}{k}")) for k in range(rank))
    shape = part(2, sides) if rank else b""
    return part(1, name) + part(2, part(1, whole(1, 1) + shape))


def model(
    nodes: Sequence[bytes], weights: dict[str, np.ndarray], inputs: dict[str, int], output: str, opset: int = 17
) -> bytes:
    graph = b"".join(part(1, one) for one in nodes) + part(2, "g")
    graph += b"".join(part(5, weight(name, values)) for name, values in weights.items())
    graph += b"".join(part(11, value(name, rank)) for name, rank in inputs.items()) + part(12, value(output))
    return whole(1, 8) + part(7, graph) + part(8, part(1, "") + whole(2, opset))


def by_runtime(data: bytes, **given: np.ndarray) -> np.ndarray:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, settings, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, given)[0])


def graph_of(folder: Path, data: bytes) -> OnnxGraph:
    path = folder / "it.onnx"
    path.write_bytes(data)
    return OnnxGraph(path)


NUMBERS = np.random.default_rng(0)


def some(*shape: int) -> np.ndarray:
    return NUMBERS.normal(size=shape).astype(np.float32)


def axes(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def scalar(value: float) -> np.ndarray:
    return np.array(value, np.float32)


CASES: dict[str, tuple[str, dict[str, np.ndarray | None], dict[str, Any]]] = {
    "Add": ("Add", {"w": some(3, 1, 1)}, {}),
    "AveragePool": (
        "AveragePool",
        {},
        {"kernel_shape": (2, 3), "strides": (2, 1), "pads": (0, 1, 0, 1), "count_include_pad": 1},
    ),
    "BatchNormalization": (
        "BatchNormalization",
        {"s": some(3), "b": some(3), "m": some(3), "v": np.abs(some(3)) + 0.1},
        {"epsilon": 1e-3},
    ),
    "Clip": ("Clip", {"low": scalar(-0.3), "high": scalar(0.5)}, {}),
    "Clip from below": ("Clip", {"low": scalar(0.1)}, {}),
    "Clip from above": ("Clip", {"low": None, "high": scalar(0.1)}, {}),
    "Concat": ("Concat", {"w": some(2, 5, 8, 8)}, {"axis": 1}),
    "Conv": ("Conv", {"w": some(4, 3, 3, 3), "b": some(4)}, {"pads": (1, 1, 1, 1), "strides": (2, 2)}),
    "Conv, grouped, uneven": (
        "Conv",
        {"w": some(6, 1, 3, 2)},
        {"group": 3, "pads": (0, 1, 2, 0), "dilations": (2, 1), "kernel_shape": (3, 2)},
    ),
    "Div": ("Div", {"w": some(3, 1, 1)}, {}),
    "Dropout": ("Dropout", {}, {}),
    "Flatten": ("Flatten", {}, {}),
    "Flatten at 0": ("Flatten", {}, {"axis": 0}),
    "Flatten at -2": ("Flatten", {}, {"axis": -2}),
    "Gather": ("Gather", {"i": np.array([[2, 0], [-1, 1]], np.int64)}, {"axis": 1}),
    "GlobalAveragePool": ("GlobalAveragePool", {}, {}),
    "Identity": ("Identity", {}, {}),
    "LeakyRelu": ("LeakyRelu", {}, {"alpha": 0.2}),
    "MatMul": ("MatMul", {"w": some(8, 5)}, {}),
    "MaxPool": ("MaxPool", {}, {"kernel_shape": (3, 3), "strides": (2, 2), "ceil_mode": 1}),
    "MaxPool, padded": ("MaxPool", {}, {"kernel_shape": (3, 3), "strides": (2, 2), "pads": (1, 1, 1, 1)}),
    "Mul": ("Mul", {"w": scalar(2.5)}, {}),
    "PRelu": ("PRelu", {"w": some(3, 1, 1)}, {}),
    "Pow": ("Pow", {"w": scalar(2.0)}, {}),
    "ReduceMean": ("ReduceMean", {}, {"axes": (2, 3), "keepdims": 0}),
    "ReduceMean of all": ("ReduceMean", {}, {}),
    "ReduceSum": ("ReduceSum", {"a": axes(1)}, {"keepdims": 1}),
    "Relu": ("Relu", {}, {}),
    "Reshape": ("Reshape", {"s": axes(0, 4, -1)}, {}),
    "Sigmoid": ("Sigmoid", {}, {}),
    "Sub": ("Sub", {"w": some(1, 3, 1, 1)}, {}),
    "Tanh": ("Tanh", {}, {}),
    "Transpose": ("Transpose", {}, {"perm": (0, 2, 3, 1)}),
    "Transpose, turned": ("Transpose", {}, {}),
    "Unsqueeze": ("Unsqueeze", {"a": axes(0, -1)}, {}),
}


@pytest.mark.parametrize("name", CASES)
def test_operators_beside_onnx_runtime(name: str, tmp_path: Path) -> None:
    operator, constants, settings = CASES[name]
    x = some(2, 3, 8, 8)
    inputs = ["x", *("" if values is None else key for key, values in constants.items())]
    weights = {key: values for key, values in constants.items() if values is not None}
    data = model([node(operator, inputs, "y", **settings)], weights, {"x": 4}, "y")
    (ours,) = graph_of(tmp_path, data)(torch.from_numpy(x))
    theirs = by_runtime(data, x=x)
    assert tuple(ours.shape) == theirs.shape
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-5, atol=1e-5)


def test_the_older_way_to_say_bounds_and_axes(tmp_path: Path) -> None:
    nodes = [
        node("Clip", ["x"], "c", min=-0.5, max=0.25),
        node("GlobalAveragePool", ["c"], "p"),
        node("Squeeze", ["p"], "s", axes=(2, 3)),
        node("Unsqueeze", ["s"], "u", axes=(1,)),
        node("ReduceSum", ["u"], "y", axes=(1,), keepdims=0),
    ]
    data, x = model(nodes, {}, {"x": 4}, "y", opset=9), some(2, 3, 4, 4)
    np.testing.assert_allclose(
        graph_of(tmp_path, data)(torch.from_numpy(x))[0].numpy(), by_runtime(data, x=x), atol=1e-6
    )


def recogniser(*, batch_of_one: bool = False) -> bytes:
    """A small network with a head that reads the number of pictures off them, or has been exported for one."""
    numbers = np.random.default_rng(5)
    weights = {
        name: numbers.normal(size=shape).astype(np.float32) * 0.3
        for name, shape in {"w": (4, 3, 3, 3), "b": (4,), "slope": (4, 1, 1), "gemm": (5, 64), "bias": (5,)}.items()
    }
    nodes = [
        node("Conv", ["x", "w", "b"], "a", pads=(1, 1, 1, 1), strides=(2, 2)),
        node("PRelu", ["a", "slope"], "p"),
        node("Sigmoid", ["p"], "g"),
        node("Mul", ["p", "g"], "m"),
    ]
    if batch_of_one:
        nodes += [
            node("Constant", [], "sides", value=axes(1, -1)),
            node("Reshape", ["m", "sides"], "f"),
        ]
    else:
        nodes += [
            node("Shape", ["m"], "s"),
            node("Constant", [], "zero", value=np.array(0, np.int64)),
            node("Gather", ["s", "zero"], "n"),
            node("Unsqueeze", ["n", "first"], "u"),
            node("Concat", ["u", "rest"], "sides", axis=0),
            node("Reshape", ["m", "sides"], "f"),
        ]
        weights |= {"first": axes(0), "rest": axes(-1)}
    nodes.append(node("Gemm", ["f", "gemm", "bias"], "y", transB=1, alpha=0.5, beta=2.0))
    return model(nodes, weights, {"x": 4}, "y")


def test_a_network_of_pictures(tmp_path: Path) -> None:
    data, x = recogniser(), some(3, 3, 8, 8)
    graph = graph_of(tmp_path, data)
    assert (graph.inputs, graph.outputs) == (("x",), ("y",)) and not list(graph.parameters())
    (ours,) = graph(torch.from_numpy(x))
    np.testing.assert_allclose(ours.numpy(), by_runtime(data, x=x), atol=1e-5)
    for_one = graph_of(tmp_path, recogniser(batch_of_one=True))
    torch.testing.assert_close(for_one(torch.from_numpy(x))[0], ours)
    assert list(for_one.values(torch.from_numpy(x)))[-2:] == ["f", "y"]


def test_half_precision_around_it_changes_nothing(tmp_path: Path) -> None:
    graph, x = graph_of(tmp_path, recogniser()), torch.from_numpy(some(3, 3, 8, 8))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (answer,) = graph(x.bfloat16())
    assert answer.dtype == torch.float32
    torch.testing.assert_close(answer, graph(x.bfloat16().float())[0])


def test_gradients_are_differences(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, recogniser())
    x, way = (torch.from_numpy(some(2, 3, 8, 8)) for _ in range(2))
    x.requires_grad_()
    graph(x)[0].square().sum().backward()
    assert x.grad is not None
    step = 1e-3  # short, for kinks
    with torch.no_grad():
        ahead, behind = (graph(x + side * step * way)[0].double().square().sum() for side in (1, -1))
    assert float((x.grad * way).sum()) == pytest.approx(float(ahead - behind) / (2 * step), rel=1e-2)


def test_the_ways_in_which_weights_are_written(tmp_path: Path) -> None:
    floats = struct.pack("<2f", 1.5, -2.0)
    forms = {
        "packed": whole(1, 2) + whole(2, 1) + part(4, floats),
        "single": whole(1, 2) + whole(2, 1) + b"".join(number(4 << 3 | 5) + floats[k : k + 4] for k in (0, 4)),
        "half": whole(1, 2) + whole(2, 10) + part(5, number(0x3E00) + number(0xC000)),
        "double": weight("", np.array([1.5, -2.0])),
        "half, raw": weight("", np.array([1.5, -2.0], np.float16)),
        "sides packed": part(1, number(2)) + whole(2, 1) + part(9, floats),
    }
    for name, form in forms.items():
        graph = (
            part(1, node("Add", ["x", "w"], "y"))
            + part(5, form + part(8, "w"))
            + part(11, value("x"))
            + part(12, value("y"))
        )
        (answer,) = graph_of(tmp_path, part(7, graph))(torch.zeros(1, 2))
        assert answer.tolist() == [[1.5, -2.0]], name
    signed = part(5, whole(1, 2) + whole(2, 7) + part(7, number(-3) + number(4)) + part(8, "w"))
    (tmp_path / "signed.onnx").write_bytes(part(7, signed))
    assert read_onnx(tmp_path / "signed.onnx").constants["w"].tolist() == [-3, 4]


def test_unknown_graphs_are_refused(tmp_path: Path) -> None:
    def refused(nodes: Sequence[bytes], match: str, weights: bytes = b"", output: str = "y") -> None:
        graph = b"".join(part(1, one) for one in nodes) + weights + part(11, value("x")) + part(12, value(output))
        (tmp_path / "it.onnx").write_bytes(part(7, graph))
        with pytest.raises(CheckpointError, match=match):
            OnnxGraph(tmp_path / "it.onnx")(torch.zeros(1, 3, 4, 4))

    refused([node("Gru", ["x"], "a"), node("Einsum", ["a"], "y")], "needs the operators Einsum, Gru")
    refused([node("FusedConv", ["x"], "y") + part(7, "com.microsoft")], "of the domain com.microsoft")
    refused([node("Relu", ["z"], "y")], "asks for z, which nothing gives")
    refused([node("Relu", ["x"], "x")], "gives nothing new")
    refused([node("Relu", ["x"], "y")], "no node gives z", output="z")
    refused([node("Relu", ["x"], "y")], "no node gives x", output="x")
    refused([node("Constant", [], "y")], "Constant without numbers")
    refused([node("Conv", ["x", "x"], "y", auto_pad="SAME_UPPER")], "auto_pad SAME_UPPER, which is not known")
    refused([node("AveragePool", ["x"], "y", kernel_shape=(2, 2), pads=(1, 1, 1, 1))], "pads that do not count")
    refused([node("MatMul", ["x", "w"], "y")], "a MatMul does not fit", part(5, weight("w", some(5, 7))))
    refused([node("Concat", ["x"], "y")], "a Concat does not fit")
    refused([node("PRelu", ["x", ""], "y")], "a PRelu does not fit")
    refused([node("If", ["x"], "y") + part(5, part(1, "then_branch") + part(6, b""))], "then_branch is a sub-graph")
    external = part(5, whole(1, 1) + whole(2, 1) + part(8, "w") + whole(14, 1))
    refused([node("Add", ["x", "w"], "y")], "w lies in another file", external)
    refused([], "sparse weights", part(15, b""))
    refused([], "elements of the unknown type 16", part(5, whole(2, 16)))
    for sides in ((3,), (-1, -2), (1 << 62, 1 << 62)):
        wrong = part(5, b"".join(whole(1, side) for side in sides) + whole(2, 1) + part(9, bytes(8)))
        refused([], "has 2 numbers where its shape", wrong)
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_onnx(tmp_path / "none.onnx")
    (tmp_path / "empty.onnx").write_bytes(b"")
    with pytest.raises(CheckpointError, match="holds no graph"):
        read_onnx(tmp_path / "empty.onnx")
    with pytest.raises(CheckpointError, match="2 values were given"):
        graph_of(tmp_path, recogniser())(torch.zeros(1), torch.zeros(1))


def test_damage_ends_in_a_sentence(tmp_path: Path) -> None:
    """Cut anywhere, or with a byte changed, a file is refused or read as what it now says; nothing else is raised."""
    data, numbers, refused = recogniser(), np.random.default_rng(1), 0
    cut = [data[:end] for end in range(0, len(data), 41)]
    changed = []
    for _ in range(100):
        one = bytearray(data)
        one[numbers.integers(len(one))] = numbers.integers(256)
        changed.append(bytes(one))
    for one in (*cut, *changed, b"\xff" * 64, bytes(64), part(7, b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f")):
        try:
            with torch.no_grad():
                graph_of(tmp_path, one)(torch.zeros(1, 3, 8, 8))
        except CheckpointError as error:
            refused += 1
            assert str(tmp_path / "it.onnx") in str(error) and str(error).endswith((".", ")."))
    assert refused > len(cut)
