"""Pickles read as plain records: nothing is imported, no function is called, no class is made.

NVIDIA publishes networks as pickles of live modules, source code included; opened the usual way they would run it. Here the
pickle's instructions are followed only as far as they put data together. Where one asks for a function or class, its name is
noted (:class:`Name`); where it asks for a call, the call is noted (:class:`Made`) and not made. Tensors are then found among the
records by their names and read from their bytes (:func:`tensor_of`). A hostile pickle is a strange record, no more.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from understudy.errors import CheckpointError

MOST_STEPS = 5_000_000
"""Instructions that a network's pickle may have; the published ones have some ten thousand."""
NUMBERS: Mapping[str, type[np.generic]] = {
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "DoubleStorage": np.float64,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "BoolStorage": np.bool_,
    "ByteStorage": np.uint8,
}
MAGIC = 0x1950A86A20F9469CFC6C  # with which torch's older files begin


@dataclass(frozen=True)
class Name:
    """A function or class that the pickle names."""

    module: str
    name: str


@dataclass(eq=False)
class Made:
    """What a call would have made, had it been made."""

    what: Any
    """Mostly a :class:`Name`."""
    arguments: Any = ()
    state: Any = None
    items: list[Any] = field(default_factory=list)
    """What would have been appended to it."""
    pairs: dict[Any, Any] = field(default_factory=dict)
    """What would have been set in it."""

    def named(self, module: str, name: str) -> bool:
        return self.what == Name(module, name)


class _Mark:
    pass


def read_records(stream: BinaryIO) -> Any:
    """The next pickle of a stream as plain values, :class:`Name` and :class:`Made`; the stream stands behind it then.

    Raises:
        CheckpointError: cut short, no pickle, or of a kind that networks are not kept in.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    try:
        for steps, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if steps > MOST_STEPS:
                raise CheckpointError("it has more instructions than any network needs.")
            if opcode.name == "STOP":
                return stack.pop()
            _follow(opcode.name, argument, stack, memo)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, EOFError, RecursionError) as error:
        raise CheckpointError(f"it is cut short or no pickle ({error}).") from error
    raise CheckpointError("it is cut short.")


def _follow(code: str, argument: Any, stack: list[Any], memo: dict[int, Any]) -> None:
    """One instruction."""
    if code in _CONSTANTS:
        stack.append(_CONSTANTS[code])
    elif code in _EMPTY:
        stack.append(_EMPTY[code]())
    elif code in _VALUES:
        stack.append(argument)
    elif code in ("PROTO", "FRAME"):
        pass
    elif code == "MARK":
        stack.append(_Mark())
    elif code in ("POP", "POP_MARK"):
        _ = stack.pop() if code == "POP" else _since_mark(stack)
    elif code == "DUP":
        stack.append(stack[-1])
    elif code == "MEMOIZE":
        memo[len(memo)] = stack[-1]
    elif code in ("PUT", "BINPUT", "LONG_BINPUT"):
        memo[int(argument)] = stack[-1]
    elif code in ("GET", "BINGET", "LONG_BINGET"):
        stack.append(memo[int(argument)])
    elif code in ("TUPLE1", "TUPLE2", "TUPLE3"):
        count = int(code[-1])
        stack[-count:] = [tuple(stack[-count:])]
    elif code in ("TUPLE", "LIST", "FROZENSET"):
        stack.append((tuple if code == "TUPLE" else list)(_since_mark(stack)))
    elif code == "DICT":
        found = _since_mark(stack)
        stack.append(dict(zip(found[::2], found[1::2], strict=True)))
    elif code in ("APPEND", "APPENDS", "ADDITEMS"):
        found = [stack.pop()] if code == "APPEND" else _since_mark(stack)
        held = stack[-1]
        (held.items if isinstance(held, Made) else held).extend(found)
    elif code in ("SETITEM", "SETITEMS"):
        found = [stack.pop(-2), stack.pop()] if code == "SETITEM" else _since_mark(stack)
        held = stack[-1]
        (held.pairs if isinstance(held, Made) else held).update(zip(found[::2], found[1::2], strict=True))
    elif code == "BUILD":
        state = stack.pop()
        if isinstance(stack[-1], Made):
            stack[-1].state = state
    else:
        _note(code, argument, stack)


def _note(code: str, argument: Any, stack: list[Any]) -> None:
    """An instruction that would import or call."""
    if code == "GLOBAL":
        module, _, name = argument.partition(" ")
        stack.append(Name(module, name))
    elif code == "STACK_GLOBAL":
        name, module = stack.pop(), stack.pop()
        stack.append(Name(str(module), str(name)))
    elif code in ("REDUCE", "NEWOBJ"):
        arguments, what = stack.pop(), stack.pop()
        stack.append(Made(what, arguments))
    elif code == "NEWOBJ_EX":
        keywords, arguments, what = stack.pop(), stack.pop(), stack.pop()
        stack.append(Made(what, (*arguments, keywords)))
    elif code == "BINPERSID":
        stack.append(Made(Name("pickle", "persistent_load"), (stack.pop(),)))
    else:
        raise CheckpointError(f"it uses the instruction {code}, which no network is kept with.")


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_SET": list}
_VALUES = frozenset(
    (
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    )
)


def _since_mark(stack: list[Any]) -> list[Any]:
    place = next((place for place in range(len(stack) - 1, -1, -1) if isinstance(stack[place], _Mark)), None)
    if place is None:
        raise ValueError("a mark is missing")
    found = stack[place + 1 :]
    del stack[place:]
    return found


def tensor_of(record: Any) -> Tensor:
    """The tensor that a record describes, as float32 (whole numbers as they are).

    Raises:
        CheckpointError: it describes something else, or its numbers are not all there.
    """
    if isinstance(record, Made) and record.what in _PARAMETERS:
        return tensor_of(record.arguments[0])
    if not isinstance(record, Made) or not record.named("torch._utils", "_rebuild_tensor_v2"):
        raise CheckpointError("where a tensor should be there is something else.")
    storage, offset, size, strides = record.arguments[:4]
    if not isinstance(storage, Made) or not storage.named("torch.storage", "_load_from_bytes"):
        raise CheckpointError("a tensor's numbers are kept in a way that is not known here.")
    numbers = _numbers(storage.arguments[0])
    counts = [*size, *strides, offset]
    if len(size) != len(strides) or not all(isinstance(count, int) and count >= 0 for count in counts):
        raise CheckpointError("a tensor's shape makes no sense.")
    reach = offset + sum((count - 1) * stride for count, stride in zip(size, strides, strict=True))
    if 0 not in size and reach >= len(numbers):
        raise CheckpointError("a tensor is larger than the numbers it is kept with.")
    whole = torch.from_numpy(numbers)
    tensor = torch.as_strided(whole, tuple(size), tuple(strides), offset).clone()
    return tensor.float() if tensor.is_floating_point() else tensor


_PARAMETERS = (Name("torch._utils", "_rebuild_parameter"), Name("torch._utils", "_rebuild_parameter_with_state"))


def _numbers(data: Any) -> np.ndarray:
    """A storage from the bytes of torch's older file format: five pickles, then a count and the numbers."""
    if isinstance(data, Made) and data.named("_codecs", "encode") and data.arguments[1:] == ("latin1",):
        data = str(data.arguments[0]).encode("latin1")  # how pickles before protocol 3 keep bytes
    if not isinstance(data, bytes):
        raise CheckpointError("a tensor's numbers are not bytes.")
    stream = io.BytesIO(data)
    magic, _version, _system, described, keys = (read_records(stream) for _ in range(5))
    persistent = described.arguments[0] if isinstance(described, Made) else ()
    if magic != MAGIC or len(persistent) < 5 or persistent[0] != "storage" or keys != [persistent[2]]:
        raise CheckpointError("a tensor's numbers are kept in a way that is not known here.")
    kind = persistent[1].name if isinstance(persistent[1], Name) else ""
    if kind not in NUMBERS:
        raise CheckpointError(f"a tensor has numbers of the kind {kind or persistent[1]}, which no network here has.")
    count = int.from_bytes(stream.read(8), "little")
    number = np.dtype(NUMBERS[kind])
    rest = stream.read()
    if count != persistent[4] or len(rest) != count * number.itemsize:
        raise CheckpointError("a tensor's numbers are cut short.")
    return np.frombuffer(bytearray(rest), number)
