"""What the operators of an ONNX graph do, in torch. ONNX' own description of each is followed; a setting beyond it is refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Given = Sequence[Any]
"""An operator's inputs, tensors; None is an optional one that is left out."""
Settings = dict[str, Any]
"""Its attributes, and ``of_pictures``: whether what it is given comes from the pictures and not from constants alone."""


class UnknownSettingError(Exception):
    """A setting of an operator that is known otherwise."""


def _refuse(settings: Settings, **usual: Any) -> None:
    for name, value in usual.items():
        if settings.get(name, value) != value:
            raise UnknownSettingError(f"{name} {settings[name]}")


def _padded(x: Tensor, settings: Settings, fill: float = 0.0) -> Tensor:
    """With the rows and columns that ``pads`` asks for: (top, left, bottom, right)."""
    _refuse(settings, auto_pad="NOTSET")
    top, left, bottom, right = settings.get("pads", (0, 0, 0, 0))
    return functional.pad(x, (left, right, top, bottom), value=fill) if any((top, left, bottom, right)) else x


def _convolve(given: Given, settings: Settings) -> Tensor:
    x, weight, *bias = given
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


def _normalise(given: Given, settings: Settings) -> Tensor:
    _refuse(settings, training_mode=0, spatial=1)
    x, scale, bias, mean, variance = given
    return functional.batch_norm(x, mean, variance, scale, bias, eps=settings.get("epsilon", 1e-5))


def _slope(given: Given, settings: Settings) -> Tensor:
    x, slope = given
    return torch.where(x < 0, x * slope, x)


def _clip(given: Given, settings: Settings) -> Tensor:
    x, low, high = [*given, None, None][:3]
    low, high = (settings.get(name) if bound is None else float(bound) for name, bound in (("min", low), ("max", high)))
    if low is None or high is None or low > high:
        return x if low is None and high is None else x.clamp(low, high)
    return functional.hardtanh(x, low, high)  # its way back is half as long as that of clamp


def _gemm(given: Given, settings: Settings) -> Tensor:
    a, b, *c = given
    a, b = (x.mT if settings.get(name) else x for x, name in ((a, "transA"), (b, "transB")))
    product = settings.get("alpha", 1.0) * (a @ b)
    return product if not c or c[0] is None else product + settings.get("beta", 1.0) * c[0]


def _reshape(given: Given, settings: Settings) -> Tensor:
    x, shape = given
    sides = [int(side) for side in shape]
    if not settings.get("allowzero"):
        sides = [x.shape[k] if side == 0 else side for k, side in enumerate(sides)]
    if settings["of_pictures"] and len(sides) > 1 and sides[0] == 1:
        sides[0] = x.shape[0]
    return x.reshape(sides)


def _flatten(given: Given, settings: Settings) -> Tensor:
    x = _first(given, settings)
    return x.reshape(math.prod(x.shape[: settings.get("axis", 1)]), -1)


def _axes(given: Given, settings: Settings) -> list[int] | None:
    """As a second input, or, in older files, as a setting."""
    if len(given) > 1 and given[1] is not None:
        return [int(axis) for axis in given[1].flatten()]
    return list(settings["axes"]) if "axes" in settings else None


def _squeeze(given: Given, settings: Settings) -> Tensor:
    axes, x = _axes(given, settings), given[0]
    return x.squeeze() if axes is None else x.squeeze(tuple(axes))


def _unsqueeze(given: Given, settings: Settings) -> Tensor:
    x, axes = given[0], _axes(given, settings) or []
    rank = x.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _reduce(kind: Callable[..., Tensor]) -> Callable[[Given, Settings], Tensor]:
    def reduce(given: Given, settings: Settings) -> Tensor:
        axes, x = _axes(given, settings), given[0]
        return kind(x, dim=axes or list(range(x.dim())), keepdim=bool(settings.get("keepdims", 1)))

    return reduce


def _pool(given: Given, settings: Settings) -> Tensor:
    _refuse(settings, dilations=(1, 1), storage_order=0, auto_pad="NOTSET")
    x = given[0]
    padded = _padded(x, settings, float("-inf"))
    return functional.max_pool2d(
        padded, settings["kernel_shape"], settings.get("strides", 1), ceil_mode=bool(settings.get("ceil_mode"))
    )


def _average(given: Given, settings: Settings) -> Tensor:
    _refuse(settings, dilations=(1, 1), auto_pad="NOTSET", ceil_mode=0)
    x = given[0]
    if any(settings.get("pads", ())) and not settings.get("count_include_pad"):
        raise UnknownSettingError("pads that do not count")
    return functional.avg_pool2d(_padded(x, settings), settings["kernel_shape"], settings.get("strides", 1))


def _shape(given: Given, settings: Settings) -> Tensor:
    return torch.tensor(given[0].shape[settings.get("start", 0) : settings.get("end")])


def _gather(given: Given, settings: Settings) -> Tensor:
    x, index = given
    axis = settings.get("axis", 0) % x.dim()
    index = torch.where(index < 0, index + x.shape[axis], index).to(x.device)
    chosen = x.index_select(axis, index.flatten().long())
    return chosen.reshape([*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]])


def _divide(given: Given, settings: Settings) -> Tensor:
    a, b = given
    whole = not (a.is_floating_point() or b.is_floating_point())
    return torch.div(a, b, rounding_mode="trunc" if whole else None)


def _of_each(kind: Callable[..., Tensor]) -> Callable[[Given, Settings], Tensor]:
    return lambda given, settings: kind(*given)


def _first(given: Given, settings: Settings) -> Tensor:
    return given[0]


def _transpose(given: Given, settings: Settings) -> Tensor:
    x = _first(given, settings)
    return x.permute(settings.get("perm", tuple(reversed(range(x.dim())))))


OPERATORS: dict[str, Callable[[Given, Settings], Tensor]] = {
    "Add": _of_each(torch.add),
    "AveragePool": _average,
    "BatchNormalization": _normalise,
    "Clip": _clip,
    "Concat": lambda given, settings: torch.cat([x for x in given if x is not None], settings["axis"]),
    "Conv": _convolve,
    "Div": _divide,
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
