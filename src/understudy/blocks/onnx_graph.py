"""An ONNX graph as a module of torch, so that a network that somebody else published can be asked for gradients.

Its operators are those of networks that recognise faces and compare pictures; a graph with another one is refused by its name.
Nothing here learns: weights are buffers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from understudy.blocks.onnx_file import OnnxNode, read_onnx
from understudy.blocks.onnx_operators import OPERATORS, Given, UnknownSettingError
from understudy.errors import CheckpointError


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
        unknown = sorted({node.operator for node in file.nodes} - OPERATORS.keys() - {"Constant"})
        if unknown:
            raise CheckpointError(
                f"{path} needs the operators {', '.join(unknown)}, which are not among those known here "
                f"({', '.join(sorted(OPERATORS))}); name another network."
            )
        self._nodes: list[OnnxNode] = []
        self._read: dict[str, Tensor] = {}  # sides, axes, bounds: read on the processor, whatever the device
        self._places: dict[str, str] = {}
        for name, array in file.constants.items():
            self._keep(name, torch.from_numpy(array))
        known = {*file.inputs, *file.constants, ""}
        self._pictures = {*file.inputs}
        for node in file.nodes:
            missing = [name for name in node.inputs if name not in known]
            made = node.outputs[0] if node.outputs else ""  # further answers, such as a Dropout's mask, are not given
            if missing or made in known:
                fault = f"asks for {', '.join(missing)}, which nothing gives" if missing else "gives nothing new"
                raise CheckpointError(f"{path} is damaged: a {node.operator} {fault}.")
            known.add(made)
            if node.operator == "Constant":
                self._keep(made, _constant(node, self.path))
                continue
            if node.operator != "Shape" and self._pictures.intersection(node.inputs):
                self._pictures.add(made)
            self._nodes.append(node)
        if not file.outputs or not {node.outputs[0] for node in self._nodes}.issuperset(file.outputs):
            raise CheckpointError(f"{path} is damaged: no node gives {', '.join(file.outputs) or 'an answer'}.")

    def _keep(self, name: str, values: Tensor) -> None:
        if values.is_floating_point() and values.dim():
            self._places[name] = f"constant_{len(self._places)}"
            self.register_buffer(self._places[name], values.float())
        else:
            self._read[name] = values.float() if values.is_floating_point() else values

    def values(self, *given: Tensor) -> dict[str, Tensor]:
        """What every node gives, by its name, in the graph's order.

        Raises:
            CheckpointError: the graph does not fit what goes in.
        """
        if len(given) != len(self.inputs):
            raise CheckpointError(f"{self.path} takes {', '.join(self.inputs)}; {len(given)} values were given.")
        # Whoever trains may do so in less than float32; a judge's small differences would be lost by that.
        with torch.autocast(given[0].device.type, enabled=False):
            known = dict(zip(self.inputs, (x.float() for x in given), strict=True))
            known |= self._read | {name: getattr(self, place) for name, place in self._places.items()}
            for node in self._nodes:
                known[node.outputs[0]] = self._carry_out(node, [known[name] if name else None for name in node.inputs])
        return {node.outputs[0]: known[node.outputs[0]] for node in self._nodes}

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """What comes out, in the order of ``outputs``. Raises as :meth:`values` does."""
        values = self.values(*given)
        return tuple(values[name] for name in self.outputs)

    def _carry_out(self, node: OnnxNode, given: Given) -> Tensor:
        settings = dict(node.attributes)
        # A network that was exported with one picture may have written that 1 into its shapes.
        settings["of_pictures"] = bool(node.inputs) and node.inputs[0] in self._pictures
        try:
            return OPERATORS[node.operator](given, settings)
        except UnknownSettingError as error:
            raise CheckpointError(f"{self.path}: a {node.operator} has {error}, which is not known here.") from error
        except torch.OutOfMemoryError:
            raise
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError, AttributeError) as error:
            reason = (str(error).splitlines() or ["no reason given"])[0]
            raise CheckpointError(
                f"{self.path}: a {node.operator} does not fit what it is given ({reason})."
            ) from error


def _constant(node: OnnxNode, path: Path) -> Tensor:
    for name in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        value = node.attributes.get(name)
        if isinstance(value, np.ndarray | float | int | tuple):
            return torch.as_tensor(value, dtype=torch.float32 if "float" in name else None)
    raise CheckpointError(f"{path} has a Constant without numbers.")
