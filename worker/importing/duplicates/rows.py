"""Rows of bytes of one width in a temporary file: what is kept of a million items without holding it in memory."""

from typing import IO

import numpy as np
from numpy.typing import NDArray


class ByteRows:
    """Takes rows one after another, then gives them all as a matrix that lives in ``file``."""

    def __init__(self, file: IO[bytes], width: int) -> None:
        self._file, self._width = file, width

    def append(self, rows: bytes) -> None:
        """Add one row, or several that follow one another."""
        self._file.write(rows)

    def matrix(self) -> NDArray[np.uint8]:
        """All rows, uint8 [rows, width]; there is at least one."""
        self._file.flush()
        return np.memmap(self._file, np.uint8, mode="r").reshape(-1, self._width)
