"""Identity retrieval (E4S, Table 2): of how many results is the wanted person the most alike among all known ones.

Every result's embedding looks through a gallery of embeddings of known people; it is a hit at k if the wanted person is
among the k most alike, by cosine. The paper's gallery were its 500 source pictures and its network CosFace; chance is
k over the number of people, so the gallery's size belongs to the figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from understudy.errors import InternalError


@dataclass(frozen=True, kw_only=True)
class Retrieval:
    """Shares of results, 0 to 1, that found their person."""

    top1: float
    top5: float
    """Among the five most alike people; 1 by chance where there are no more than five."""
    queries: int
    people: int
    """In the gallery."""


def retrieve(queries: np.ndarray, wanted: Sequence[str], gallery: np.ndarray, people: Sequence[str]) -> Retrieval:
    """Look every query up in the gallery; a person with several pictures counts by the most alike of them.

    Args:
        queries: (N, D) embeddings of any length above zero.
        wanted: N names, who each query should be.
        gallery: (M, D) embeddings.
        people: M names, who each picture of the gallery is.

    Raises:
        InternalError: lengths differ, or somebody wanted is not in the gallery.
    """
    if len(queries) != len(wanted) or len(gallery) != len(people) or not len(queries):
        raise InternalError(f"{len(queries)} queries for {len(wanted)} names, {len(gallery)} pictures of {len(people)}")
    names = sorted(set(people))
    if strangers := set(wanted) - set(names):
        raise InternalError(f"{sorted(strangers)} are not in the gallery")
    cosines = _unit(queries) @ _unit(gallery).T
    owner = np.asarray(people)
    by_person = np.stack([cosines[:, owner == name].max(axis=1) for name in names], axis=1)
    own = by_person[np.arange(len(queries)), [names.index(name) for name in wanted]]
    better = (by_person > own[:, None]).sum(axis=1)  # people who are more alike than the wanted one
    return Retrieval(
        top1=float((better < 1).mean()), top5=float((better < 5).mean()), queries=len(queries), people=len(names)
    )


def _unit(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
