"""An ONNX graph as a module of torch, so that a network that somebody else published can be asked for gradients.

Its operators are those of networks that recognise faces and compare pictures; a graph with another one is refused by its name.
Nothing here learns: weights are buffers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.blocks.onnx_file import OnnxNode, read_onnx
from understudy.errors import CheckpointError

_Given = Sequence[Tensor | None]
_Settings = dict[str, Any]


class OnnxGraph(nn.Module):
    """A graph from a file. ``inputs`` and ``outputs`` are the names of what goes in and comes out."""

    def __init__(self, path: Path | str) -> None:
        """
        Raises:
            CheckpointError: see :func:`read_onnx`; or an operator is not known here, or a node asks for what nothing gives.
        """
        super().__init__()
        file = read_onnx(path)
        self.path, self.inputs, self.outputs = Path(path), file.inputs, file.outputs
        unknown = sorted({node.operator for node in file.nodes} - _OPERATORS.keys() - {"Constant"})
        if unknown:
            raise CheckpointError(
                f"{path} needs the operators {', '.join(unknown)}, which are not among those known here "
                f"({', '.join(sorted(_OPERATORS))}); name another network."
            )
        self._nodes: list[OnnxNode] = []
        self._whole: dict[str, Tensor] = {}  # whole numbers: sides and axes, which are read on the processor
        self._places: dict[str, str] = {}
        for name, array in file.constants.items():
            self._keep(name, torch.from_numpy(array))
        known = {*file.inputs, *file.constants, ""}
        self._pictures = {*file.inputs}
        for node in file.nodes:
            missing = [name for name in node.inputs if name not in known]
            if missing or not node.outputs or known.intersection(node.outputs):
                raise CheckpointError(
                    f"{path} is damaged: a {node.operator} asks for {', '.join(missing) or 'nothing new'}, which no node gives."
                )
            known.update(node.outputs)
            if node.operator == "Constant":
                self._keep(node.outputs[0], _constant(node, self.path))
                continue
            if node.operator != "Shape" and self._pictures.intersection(node.inputs):
                self._pictures.update(node.outputs)
            self._nodes.append(node)
        if not file.outputs or not known.issuperset(file.outputs):
            raise CheckpointError(f"{path} is damaged: no node gives {', '.join(file.outputs) or 'an answer'}.")

    def _keep(self, name: str, values: Tensor) -> None:
        if values.is_floating_point():
            self._places[name] = f"constant_{len(self._places)}"
            self.register_buffer(self._places[name], values.float())
        else:
            self._whole[name] = values

    def values(self, *given: Tensor) -> dict[str, Tensor]:
        """Every value of the graph by its name, what goes in first, what comes out last.

        Raises:
            CheckpointError: the graph does not fit what goes in.
        """
        if len(given) != len(self.inputs):
            raise CheckpointError(f"{self.path} takes {', '.join(self.inputs)}; {len(given)} values were given.")
        # Whoever trains may do so in less than float32; a judge's small differences would be lost by that.
        with torch.autocast(given[0].device.type, enabled=False):
            known = dict(zip(self.inputs, (x.float() for x in given), strict=True))
            known |= self._whole | {name: getattr(self, place) for name, place in self._places.items()}
            for node in self._nodes:
                known[node.outputs[0]] = self._carry_out(node, [known[name] if name else None for name in node.inputs])
        made = {name for node in self._nodes for name in node.outputs[:1]}
        return {name: value for name, value in known.items() if name in made}

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """What comes out, in the order of ``outputs``. Raises as :meth:`values` does."""
        values = self.values(*given)
        return tuple(values[name] for name in self.outputs)

    def _carry_out(self, node: OnnxNode, given: _Given) -> Tensor:
        settings = dict(node.attributes)
        # A network that was exported with one picture may have written that 1 into its shapes.
        settings["of_pictures"] = bool(node.inputs) and node.inputs[0] in self._pictures
        try:
            return _OPERATORS[node.operator](given, settings)
        except _UnknownError as error:
            raise CheckpointError(f"{self.path}: a {node.operator} has {error}, which is not known here.") from error
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError, AttributeError) as error:
            reason = (str(error).splitlines() or ["no reason given"])[0]
            raise CheckpointError(
                f"{self.path}: a {node.operator} does not fit what it is given ({reason})."
            ) from error


class _UnknownError(Exception):
    """A setting of an operator that is known otherwise."""


def _constant(node: OnnxNode, path: Path) -> Tensor:
    for name in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        if name in node.attributes:
            kind = torch.float32 if "float" in name else None
            return torch.as_tensor(node.attributes[name], dtype=kind)
    raise CheckpointError(f"{path} has a Constant without numbers.")


def _refuse(settings: _Settings, **usual: Any) -> None:
    for name, value in usual.items():
        if settings.get(name, value) != value:
            raise _UnknownError(f"{name} {settings[name]}")


def _padded(x: Tensor, settings: _Settings, fill: float = 0.0) -> Tensor:
    """With the rows and columns that ``pads`` asks for: (top, left, bottom, right)."""
    _refuse(settings, auto_pad="NOTSET")
    top, left, bottom, right = settings.get("pads", (0, 0, 0, 0))
    return functional.pad(x, (left, right, top, bottom), value=fill) if any((top, left, bottom, right)) else x


def _convolve(given: _Given, settings: _Settings) -> Tensor:
    x, weight, *bias = given
    assert x is not None and weight is not None
    _refuse(settings, auto_pad="NOTSET")
    top, left, bottom, right = settings.get("pads", (0, 0, 0, 0))
    even = (top, left) == (bottom, right)
    return functional.conv2d(
        x if even else _padded(x, settings),
        weight,
        bias[0] if bias else None,
        settings.get("strides", 1),
        (top, left) if even else 0,
        settings.get("dilations", 1),
        settings.get("group", 1),
    )


def _normalise(given: _Given, settings: _Settings) -> Tensor:
    _refuse(settings, training_mode=0, spatial=1)
    x, scale, bias, mean, variance = given
    assert x is not None
    return functional.batch_norm(x, mean, variance, scale, bias, eps=settings.get("epsilon", 1e-5))


def _slope(given: _Given, settings: _Settings) -> Tensor:
    x, slope = given
    assert x is not None and slope is not None
    return torch.where(x < 0, x * slope, x)


def _clip(given: _Given, settings: _Settings) -> Tensor:
    x, low, high = [*given, None, None][:3]
    assert x is not None
    low, high = (settings.get(name) if bound is None else float(bound) for name, bound in (("min", low), ("max", high)))
    if low is None or high is None or low > high:
        return x if low is None and high is None else x.clamp(low, high)
    return functional.hardtanh(x, low, high)  # its way back is half as long as that of clamp


def _gemm(given: _Given, settings: _Settings) -> Tensor:
    a, b, *c = given
    assert a is not None and b is not None
    a, b = (x.mT if settings.get(name) else x for x, name in ((a, "transA"), (b, "transB")))
    product = settings.get("alpha", 1.0) * (a @ b)
    return product if not c or c[0] is None else product + settings.get("beta", 1.0) * c[0]


def _reshape(given: _Given, settings: _Settings) -> Tensor:
    x, shape = given
    assert x is not None and shape is not None
    sides = [int(side) for side in shape]
    if not settings.get("allowzero"):
        sides = [x.shape[k] if side == 0 else side for k, side in enumerate(sides)]
    if settings["of_pictures"] and len(sides) > 1 and sides[0] == 1:
        sides[0] = x.shape[0]
    return x.reshape(sides)


def _flatten(given: _Given, settings: _Settings) -> Tensor:
    x = _first(given, settings)
    return x.reshape(math.prod(x.shape[: settings.get("axis", 1)]), -1)


def _axes(given: _Given, settings: _Settings) -> list[int] | None:
    """As a second input, or, in older files, as a setting."""
    if len(given) > 1 and given[1] is not None:
        return [int(axis) for axis in given[1].flatten()]
    return list(settings["axes"]) if "axes" in settings else None


def _squeeze(given: _Given, settings: _Settings) -> Tensor:
    axes, x = _axes(given, settings), given[0]
    assert x is not None
    return x.squeeze() if axes is None else x.squeeze(tuple(axes))


def _unsqueeze(given: _Given, settings: _Settings) -> Tensor:
    x, axes = given[0], _axes(given, settings) or []
    assert x is not None
    rank = x.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _reduce(kind: Callable[..., Tensor]) -> Callable[[_Given, _Settings], Tensor]:
    def reduce(given: _Given, settings: _Settings) -> Tensor:
        axes, x = _axes(given, settings), given[0]
        assert x is not None
        return kind(x, dim=axes or list(range(x.dim())), keepdim=bool(settings.get("keepdims", 1)))

    return reduce


def _pool(given: _Given, settings: _Settings) -> Tensor:
    _refuse(settings, dilations=(1, 1), storage_order=0, auto_pad="NOTSET")
    x = given[0]
    assert x is not None
    padded = _padded(x, settings, float("-inf"))
    return functional.max_pool2d(
        padded, settings["kernel_shape"], settings.get("strides", 1), ceil_mode=bool(settings.get("ceil_mode"))
    )


def _average(given: _Given, settings: _Settings) -> Tensor:
    _refuse(settings, dilations=(1, 1), auto_pad="NOTSET", ceil_mode=0)
    x = given[0]
    assert x is not None
    if any(settings.get("pads", ())) and not settings.get("count_include_pad"):
        raise _UnknownError("pads that do not count")
    return functional.avg_pool2d(_padded(x, settings), settings["kernel_shape"], settings.get("strides", 1))


def _shape(given: _Given, settings: _Settings) -> Tensor:
    assert given[0] is not None
    return torch.tensor(given[0].shape[settings.get("start", 0) : settings.get("end")])


def _gather(given: _Given, settings: _Settings) -> Tensor:
    x, index = given
    assert x is not None and index is not None
    axis = settings.get("axis", 0) % x.dim()
    index = torch.where(index < 0, index + x.shape[axis], index).to(x.device)
    chosen = x.index_select(axis, index.flatten().long())
    return chosen.reshape(*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])


def _of_each(kind: Callable[..., Tensor]) -> Callable[[_Given, _Settings], Tensor]:
    return lambda given, settings: kind(*given)


def _first(given: _Given, settings: _Settings) -> Tensor:
    assert given[0] is not None
    return given[0]


def _transpose(given: _Given, settings: _Settings) -> Tensor:
    x = _first(given, settings)
    return x.permute(settings.get("perm", tuple(reversed(range(x.dim())))))


_OPERATORS: dict[str, Callable[[_Given, _Settings], Tensor]] = {
    "Add": _of_each(torch.add),
    "AveragePool": _average,
    "BatchNormalization": _normalise,
    "Clip": _clip,
    "Concat": lambda given, settings: torch.cat([x for x in given if x is not None], settings["axis"]),
    "Conv": _convolve,
    "Div": _of_each(torch.div),
    "Dropout": _first,
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda given, settings: _first(given, settings).mean((2, 3), keepdim=True),
    "Identity": _first,
    "LeakyRelu": lambda given, settings: functional.leaky_relu(_first(given, settings), settings.get("alpha", 0.01)),
    "MatMul": _of_each(torch.matmul),
    "MaxPool": _pool,
    "Mul": _of_each(torch.mul),
    "PRelu": _slope,
    "Pow": _of_each(torch.pow),
    "ReduceMean": _reduce(torch.mean),
    "ReduceSum": _reduce(torch.sum),
    "Relu": _of_each(torch.relu),
    "Reshape": _reshape,
    "Shape": _shape,
    "Sigmoid": _of_each(torch.sigmoid),
    "Sqrt": _of_each(torch.sqrt),
    "Squeeze": _squeeze,
    "Sub": _of_each(torch.sub),
    "Tanh": _of_each(torch.tanh),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
