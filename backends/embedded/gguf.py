"""Reads what a GGUF file says about itself: key-value metadata and tensor sizes, never the weights."""

from __future__ import annotations

import hashlib
import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

MetadataValue = str | int | float | bool | None

_MAGIC = b"GGUF"
_STRING, _ARRAY = 8, 9
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}


class GgufError(ValueError):
    """The file is not a GGUF file of version 2 or 3, or is cut short."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A GGUF file; arrays (the vocabulary) stand as None in `metadata`, as in Ollama's own `/api/show`."""

    path: Path
    size_bytes: int
    modified_at: datetime
    metadata: Mapping[str, MetadataValue]
    parameter_count: int

    @property
    def architecture(self) -> str:
        """E.g. `llama`; the prefix of the other keys."""
        return str(self.metadata.get("general.architecture", "unknown"))

    @property
    def trained_window_tokens(self) -> int:
        """The longest context the model was trained for; 0 where the file does not say."""
        value = self.metadata.get(f"{self.architecture}.context_length")
        return value if isinstance(value, int) else 0

    def sha256(self) -> str:
        """Hex digest of the whole file; takes some tenths of a second."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def read_model_file(path: Path) -> ModelFile:
    """Raises `GgufError` or `OSError`. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md."""
    stat = path.stat()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        cursor = _Cursor(data)
        try:
            metadata, parameter_count = _header(cursor)
        except (struct.error, KeyError, UnicodeDecodeError) as exc:
            raise GgufError(f"{path.name} is not a readable GGUF file") from exc
    return ModelFile(
        path=path,
        size_bytes=stat.st_size,
        modified_at=datetime.fromtimestamp(stat.st_mtime, UTC),
        metadata=metadata,
        parameter_count=parameter_count,
    )


def _header(cursor: _Cursor) -> tuple[dict[str, MetadataValue], int]:
    if cursor.take(len(_MAGIC)) != _MAGIC or cursor.scalar("I") not in (2, 3):
        raise GgufError("no GGUF of version 2 or 3")
    tensor_count, pair_count = cursor.integer("Q"), cursor.integer("Q")
    metadata = {cursor.string(): cursor.value(cursor.integer("I")) for _ in range(pair_count)}
    return metadata, sum(cursor.tensor_elements() for _ in range(tensor_count))


class _Cursor:
    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = 0

    def take(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._data):
            raise struct.error("cut short")
        self._at, start = end, self._at
        return self._data[start:end]

    def scalar(self, code: str) -> int | float | bool:
        value: int | float | bool = struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]
        return value

    def integer(self, code: str) -> int:
        return int(self.scalar(code))

    def string(self) -> str:
        return self.take(self.integer("Q")).decode()

    def value(self, kind: int) -> MetadataValue:
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            self._skip_array()
            return None
        return self.scalar(_SCALARS[kind])

    def tensor_elements(self) -> int:
        self.string()
        dimensions = [self.integer("Q") for _ in range(self.integer("I"))]
        self.take(struct.calcsize("<IQ"))
        return math.prod(dimensions)

    def _skip_array(self) -> None:
        kind, length = self.integer("I"), self.integer("Q")
        if kind in _SCALARS:
            self.take(length * struct.calcsize("<" + _SCALARS[kind]))
            return
        for _ in range(length):
            if kind == _STRING:
                self.take(self.integer("Q"))
            else:
                self.value(kind)
