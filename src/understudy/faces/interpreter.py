"""A LiteRT model that takes arrays of any length, in batches where the model allows it."""

from __future__ import annotations

from typing import Any

import numpy as np

from understudy.errors import WeightsError


class Interpreter:
    """One LiteRT model, (N, ...) in, (N, ...) out.

    A model whose input length is free runs in full batches and its remainder one by one; results are the same to the
    bit either way (so a picture's result does not depend on its neighbours). Not for use from two threads at once.

    Args:
        model: the .tflite file's bytes.
        num_threads: processor threads of one run.
        batch: how many inputs go into one run, where the model's first dimension is free.

    Raises:
        WeightsError: LiteRT cannot run the model.
    """

    def __init__(self, model: bytes, *, num_threads: int = 1, batch: int = 1) -> None:
        from ai_edge_litert.interpreter import Interpreter as LiteRt

        self.batch = batch
        try:
            self._runners = {length: LiteRt(model_content=model, num_threads=num_threads) for length in {1, batch}}
            for length, runner in self._runners.items():
                details = runner.get_input_details()[0]
                if length > 1:
                    runner.resize_tensor_input(details["index"], (length, *details["shape"][1:]))
                runner.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise WeightsError(f"LiteRT cannot run this face model ({str(error).splitlines()[0]}).") from error
        self.input_shape: tuple[int, ...] = tuple(int(n) for n in self._runners[1].get_input_details()[0]["shape"][1:])
        """Shape of one input, without the batch dimension."""
        self.output_shapes: list[tuple[int, ...]] = [
            tuple(int(n) for n in details["shape"]) for details in self._runners[1].get_output_details()
        ]
        """Shape of every output of a single run."""

    def run(self, inputs: np.ndarray) -> list[np.ndarray]:
        """All outputs for ``inputs`` (N, *input_shape) float32; each output is (N, -1) float32."""
        collected: list[list[np.ndarray]] = [[] for _ in self.output_shapes]
        start = 0
        while start < len(inputs):
            length = self.batch if len(inputs) - start >= self.batch else 1
            for number, output in enumerate(_run(self._runners[length], inputs[start : start + length])):
                collected[number].append(output.reshape(length, -1))
            start += length
        if start == 0:
            return [np.zeros((0, int(np.prod(shape))), np.float32) for shape in self.output_shapes]
        return [np.concatenate(parts) for parts in collected]


def _run(runner: Any, inputs: np.ndarray) -> list[np.ndarray]:
    runner.set_tensor(runner.get_input_details()[0]["index"], np.ascontiguousarray(inputs, np.float32))
    runner.invoke()
    return [runner.get_tensor(details["index"]) for details in runner.get_output_details()]
