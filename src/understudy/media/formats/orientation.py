"""Rotation flags: a movie's display matrix as turns by a quarter and mirrorings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Orientation:
    """How stored pictures are turned upright: first transposed, then rows and columns mirrored."""

    transpose: bool = False
    mirror_rows: bool = False
    mirror_columns: bool = False
    matrix: tuple[int, ...] | None = None

    @staticmethod
    def of_frame(raw) -> Orientation:
        """Read the display matrix that a decoded frame carries; angles between are taken as the nearest quarter."""
        for side in raw.side_data:
            if side.type.name == "DISPLAYMATRIX":
                return Orientation.of_matrix(
                    tuple(int(value) for value in np.frombuffer(bytes(side), dtype=np.int32)[:9])
                )
        return Orientation()

    @staticmethod
    def of_matrix(matrix: tuple[int, ...]) -> Orientation:
        """Read a display matrix (a b u c d v x y w): stored (p, q) is shown at (a p + c q, b p + d q)."""
        a, b, _, c, d = matrix[:5]
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return Orientation(False, d < 0, a < 0, matrix if a < 0 or d < 0 else None)
        return Orientation(True, b < 0, c < 0, matrix)

    @property
    def upright_already(self) -> bool:
        """Whether nothing is to be done."""
        return not (self.transpose or self.mirror_rows or self.mirror_columns)

    def upright_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return (width, height) after turning."""
        return (size[1], size[0]) if self.transpose else size

    def upright(self, picture: np.ndarray) -> np.ndarray:
        """Turn a stored (H, W, ...) picture upright; a view, not a copy."""
        if self.transpose:
            picture = picture.swapaxes(0, 1)
        return self._mirrored(picture)

    def stored(self, picture: np.ndarray) -> np.ndarray:
        """Undo :meth:`upright`."""
        picture = self._mirrored(picture)
        return picture.swapaxes(0, 1) if self.transpose else picture

    def _mirrored(self, picture: np.ndarray) -> np.ndarray:
        rows = slice(None, None, -1) if self.mirror_rows else slice(None)
        columns = slice(None, None, -1) if self.mirror_columns else slice(None)
        return picture[rows, columns]
