"""The file that says whose vectors lie in an index folder, and writing that no crash leaves half done."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from config.errors import IndexMismatch

MANIFEST = "manifest.json"
# Another service on this folder may be between writing its data and its manifest.
KEEP_UNNAMED_S = 60.0
PRIVATE_FOLDER = 0o700


def identity(format_name: str | int, embedder_name: str, dimension: int) -> dict[str, object]:
    """What has to be the same for vectors on disk to be of use."""
    return {"format": format_name, "embedder": embedder_name, "dimension": dimension}


def read_manifest(folder: Path, expected: Mapping[str, object]) -> dict[str, Any] | None:
    """What the folder holds, None where nothing was saved. Raises `IndexMismatch` if damaged or not as
    `expected`.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise IndexMismatch("The index's manifest is damaged; the index will be rebuilt.") from None
    if not isinstance(manifest, dict) or any(manifest.get(key) != value for key, value in expected.items()):
        raise IndexMismatch("The index was written by another embedder or version; it will be rebuilt.")
    return manifest


def write_manifest(folder: Path, manifest: Mapping[str, object]) -> None:
    """Replace the manifest: from here on, what it names is the index. Raises `OSError`."""
    write_atomically(folder / MANIFEST, json.dumps(manifest).encode())


def private_folder(folder: Path) -> None:
    """Make the folder, or take it as it is, for this user only. Raises `OSError` if it cannot be made."""
    folder.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
    with suppress(OSError):  # it is another user's, who lets us write
        folder.chmod(PRIVATE_FOLDER)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a whole file durably, or leave the one that is there. Raises `OSError`."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        Path(temporary).replace(path)
        sync_folder(path.parent)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Make new and renamed entries of a folder survive a loss of power."""
    if sys.platform == "win32":
        return  # Windows has no such call; NTFS keeps its own journal of names
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unnamed(
    folder: Path, patterns: Iterable[str], named: str = "", *, older_than_s: float = KEEP_UNNAMED_S
) -> list[Path]:
    """What matches the patterns, is not the one that is `named`, and is too old to be just being written."""
    oldest = time.time() - older_than_s
    found = []
    for path in (path for pattern in patterns for path in folder.glob(pattern)):
        try:
            if path.name != named and path.stat().st_mtime < oldest:
                found.append(path)
        except OSError:
            continue
    return found
