"""Foreign networks that measure: found where the user has them, run by ONNX Runtime on one thread."""

from __future__ import annotations

from functools import cache
from typing import Any

from understudy.errors import WeightsError


def missing_evaluator(name: str) -> str | None:
    """None when the evaluator's file is at hand, otherwise a sentence that says what to do."""
    from understudy.provenance.weights import find

    try:
        find(name)
    except WeightsError as error:
        return str(error)
    return None


@cache
def load_evaluator(name: str) -> Any:
    """An ONNX Runtime session for the file ``name`` of the weights' table; loaded once.

    Raises:
        WeightsError: the file is not at hand, or its checksum is wrong.
    """
    from understudy.provenance.weights import find

    path = find(name)
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1  # the same numbers whatever the machine's load; one face is small
    settings.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
