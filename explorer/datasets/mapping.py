"""A file as a tensor that is read from disk when it is looked at, so that it may be larger than memory."""

import mmap
import os
import sys
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

# From Linux's mman.h; Python has a name for it from 3.13 on. Without it the kernel refuses to map a file larger than
# memory so that it can be written to, and PyTorch wants its tensors so.
_NO_RESERVE = 0x4000 if sys.platform == "linux" else 0


class MappedFile:
    """The bytes of a file, mapped into memory: what is written to them never reaches the file.

    What was looked at stays in this process's memory until the system is short of it, and kernels that keep files in
    large pages count 2 MB for a single image. `read` copies rows without that.
    """

    def __init__(self, path: Path):
        """Maps the file; raises OSError, and ValueError when it is empty."""
        self._file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self._file)
        if sys.platform == "win32":
            self._bytes = mmap.mmap(self._file, 0, access=mmap.ACCESS_COPY)
        else:
            flags, both = mmap.MAP_PRIVATE | _NO_RESERVE, mmap.PROT_READ | mmap.PROT_WRITE
            self._bytes = mmap.mmap(self._file, 0, flags=flags, prot=both)
        self._everything = torch.from_numpy(np.frombuffer(self._bytes, np.uint8))

    def tensor(self, shape: tuple[int, ...]) -> Tensor:
        """All bytes as a uint8 tensor of that shape."""
        return self._everything.view(shape)

    def holds(self, rows: Tensor) -> bool:
        """Whether a tensor is bytes of this file, one after the other, that `read` can copy on this system."""
        offset = rows.data_ptr() - self._everything.data_ptr()
        return hasattr(os, "preadv") and rows.is_contiguous() and 0 <= offset < len(self._everything)

    def read(self, rows: Tensor, chosen: Sequence[int]) -> Tensor:
        """A copy of the chosen rows of a tensor that the file holds, in their order, read past the mapping.

        Raises IndexError for a row that there is not, OSError when the file has become shorter.
        """
        copy, length = torch.empty((len(chosen), *rows.shape[1:]), dtype=torch.uint8), rows[0].numel()
        start = rows.data_ptr() - self._everything.data_ptr()
        for row, place in zip(chosen, copy.view(len(chosen), length).numpy(), strict=True):
            if not 0 <= row < len(rows):
                raise IndexError(f"expected rows from 0 to {len(rows) - 1}, got {row}")
            if os.preadv(self._file, [place], start + row * length) != length:
                raise OSError("a file of decoded images has become shorter while it was open; load the data set again")
        return copy
