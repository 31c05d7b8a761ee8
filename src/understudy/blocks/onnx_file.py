"""An ONNX file read as records: nodes, constants, names of inputs and outputs. Nothing in it runs.

The package ``onnx`` is not needed for this. Of the format (Protocol Buffers) a graph without loops needs four kinds of message,
nested to a fixed depth, and every length is checked against what is there before it is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from understudy.errors import CheckpointError

Value = int | float | str | np.ndarray | tuple[int, ...] | tuple[float, ...]
_Fields = dict[int, list["int | memoryview"]]

_KINDS = {1: "<f4", 2: "u1", 3: "i1", 6: "<i4", 7: "<i8", 9: "?", 10: "<f2", 11: "<f8"}
"""The format's number of an element's type -> NumPy's name."""
_OWN_LISTS = {1: (4, "<f4"), 11: (10, "<f8")}
"""Types whose elements may stand in a list of their own: its field, its elements."""
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_EXTERNAL, _DOMAINS = 1, ("", "ai.onnx")


class _DamagedError(Exception):
    """What is wrong with the bytes; :func:`read_onnx` says in which file."""


@dataclass(frozen=True, kw_only=True)
class OnnxNode:
    """One operation."""

    operator: str
    inputs: tuple[str, ...]
    """Names of values; an optional one that is left out is ''."""
    outputs: tuple[str, ...]
    attributes: Mapping[str, Value]


@dataclass(frozen=True, kw_only=True)
class OnnxFile:
    """A graph: nodes in the order in which they can be carried out."""

    nodes: Sequence[OnnxNode]
    constants: Mapping[str, np.ndarray]
    inputs: tuple[str, ...]
    """What a caller gives; constants are not among them."""
    outputs: tuple[str, ...]


def read_onnx(path: Path | str) -> OnnxFile:
    """The main graph of an ONNX file.

    Raises:
        CheckpointError: not there, damaged, or with parts that are not read: sub-graphs, weights in other files, sparse weights,
            operators of other domains.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or error}); name an ONNX file.") from error
    try:
        return _graph(_message(memoryview(data)))
    except _DamagedError as error:
        raise CheckpointError(f"{path} is damaged or no ONNX graph that can be read here: {error}.") from error


def _graph(model: _Fields) -> OnnxFile:
    if 7 not in model:
        raise _DamagedError("it holds no graph")
    graph = _message(_view(model[7][-1]))
    if 15 in graph:
        raise _DamagedError("it has sparse weights")
    constants = dict(_tensor(_view(tensor)) for tensor in graph.get(5, []))
    inputs, outputs = ([_text(_message(_view(value)), 1) for value in graph.get(number, [])] for number in (11, 12))
    return OnnxFile(
        nodes=[_node(_message(_view(node))) for node in graph.get(1, [])],
        constants=constants,
        inputs=tuple(name for name in inputs if name not in constants),
        outputs=tuple(outputs),
    )


def _node(fields: _Fields) -> OnnxNode:
    operator, domain = _text(fields, 4), _text(fields, 7)
    if domain not in _DOMAINS:
        raise _DamagedError(f"the operator {operator} is of the domain {domain}, which is not ONNX's own")
    return OnnxNode(
        operator=operator,
        inputs=_texts(fields, 1),
        outputs=_texts(fields, 2),
        attributes=dict(_attribute(_message(_view(attribute))) for attribute in fields.get(5, [])),
    )


def _attribute(fields: _Fields) -> tuple[str, Value]:
    name = _text(fields, 1)
    if 2 in fields:
        return name, float(_numbers(fields, 2, "<f4")[-1])
    if 3 in fields:
        return name, _integers(fields, 3)[-1]
    if 4 in fields:
        return name, _text(fields, 4)
    if 5 in fields:
        return name, _tensor(_view(fields[5][-1]))[1]
    if 7 in fields:
        return name, tuple(_numbers(fields, 7, "<f4").tolist())
    if fields.keys() & {6, 9, 10, 11}:
        raise _DamagedError(f"the attribute {name} is a sub-graph or a list that is not read")
    return name, _integers(fields, 8)


def _tensor(data: memoryview) -> tuple[str, np.ndarray]:
    """Name and values."""
    fields = _message(data)
    name, shape = _text(fields, 8), _integers(fields, 1)
    kind = (_integers(fields, 2) or (0,))[-1]
    if kind not in _KINDS:
        raise _DamagedError(f"the weight {name} has elements of the unknown type {kind}")
    if (_integers(fields, 14) or (0,))[-1] == _EXTERNAL:
        raise _DamagedError(f"the weight {name} lies in another file")
    wanted = np.dtype(_KINDS[kind])
    if 9 in fields:
        raw = _view(fields[9][-1])
        if len(raw) % wanted.itemsize:
            raise _DamagedError(f"the weight {name} ends within a number")
        values = np.frombuffer(raw, wanted)
    elif kind in _OWN_LISTS:
        values = _numbers(fields, *_OWN_LISTS[kind])
    elif wanted.kind == "f":  # half precision stands bit by bit in the list of whole numbers
        values = np.array(_integers(fields, 5), np.int64).astype(np.uint16).view(wanted)
    else:
        values = np.array(_integers(fields, 7 if wanted.itemsize == 8 else 5), np.int64).astype(wanted)
    count = 1
    for side in shape:
        count *= side
    if any(side < 0 for side in shape) or count != len(values) or len(shape) > 32:
        raise _DamagedError(f"the weight {name} has {len(values)} numbers where its shape {shape} wants others")
    return name, values.reshape(shape).copy()


def _message(data: memoryview) -> _Fields:
    """A message's fields by number: whole numbers as they are, everything else as the bytes that it takes."""
    fields: _Fields = {}
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        kind = key & 7
        if kind == _VARINT:
            value, place = _varint(data, place)
        else:
            if kind == _BYTES:
                length, place = _varint(data, place)
            elif kind in (_EIGHT, _FOUR):
                length = 8 if kind == _EIGHT else 4
            else:
                raise _DamagedError(f"an unknown kind of field at byte {place} of a part of {len(data)}")
            if length > len(data) - place:
                raise _DamagedError(f"it is cut short: a part wants {length} bytes and {len(data) - place} are left")
            value, place = data[place : place + length], place + length
        fields.setdefault(key >> 3, []).append(value)
    return fields


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    """A whole number of seven bits a byte, and where it ends."""
    value = 0
    for index in range(10):
        if place + index >= len(data):
            raise _DamagedError("it is cut short within a number")
        byte = data[place + index]
        value |= (byte & 127) << (7 * index)
        if byte < 128:
            return value, place + index + 1
    raise _DamagedError("a number has no end")


def _view(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise _DamagedError("a number stands where a part should be")
    return value


def _texts(fields: _Fields, number: int) -> tuple[str, ...]:
    try:
        return tuple(str(_view(value), "utf-8") for value in fields.get(number, []))
    except UnicodeDecodeError as error:
        raise _DamagedError("a name is no text") from error


def _text(fields: _Fields, number: int) -> str:
    return (_texts(fields, number) or ("",))[-1]


def _integers(fields: _Fields, number: int) -> tuple[int, ...]:
    """Signed whole numbers, one a field or packed many in one."""
    found: list[int] = []
    for value in fields.get(number, []):
        if isinstance(value, int):
            found.append(value)
            continue
        place = 0
        while place < len(value):
            item, place = _varint(value, place)
            found.append(item)
    return tuple(((value & (1 << 64) - 1) ^ (1 << 63)) - (1 << 63) for value in found)


def _numbers(fields: _Fields, number: int, kind: str) -> np.ndarray:
    """Numbers of a fixed width, one a field or packed many in one."""
    data = b"".join(_view(value) for value in fields.get(number, []))
    width = np.dtype(kind).itemsize
    if not data or len(data) % width:
        if not data:
            return np.empty(0, kind)
        raise _DamagedError("a list of numbers ends within a number")
    return np.frombuffer(data, kind)
