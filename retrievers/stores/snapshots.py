"""States of an embedded database's folder, published whole, so that several services can share an index folder.

    <folder>/manifest.json      format, embedder, dimension, name of the snapshot, hash of each of its files
    <folder>/snapshot-<id>/     written once, then only read
    <folder>/working-<id>/      what one living process has open and nobody else touches

Such databases are made for one process: Qdrant's folder takes an exclusive lock, and two processes on Chroma's
return rows that the other deleted, and leave an index that no longer opens. So each process works on a copy of
its own. The manifest is replaced last, so a crash at any moment leaves the old state or the new one; of two
services that save, the later one's state stays.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from config.errors import IndexMismatch
from retrievers.stores.locks import taken
from retrievers.stores.manifest import read_manifest, sync_folder, unnamed, write_manifest

# Locks of a database's own: of no use in a copy, and on Windows not even readable.
NOT_COPIED = frozenset({".lock"})
LOCK = "lock.sqlite"


class WorkingFolder:
    """A folder that is this process's alone, until it is removed or the process ends, however that ends.

    Args:
        parent: The index folder; made where it is not there.

    Raises:
        OSError: It cannot be written.
    """

    def __init__(self, parent: Path) -> None:
        parent.mkdir(parents=True, exist_ok=True)
        self._root = Path(tempfile.mkdtemp(dir=parent, prefix="working-"))
        self._lock = taken(self._root / LOCK)
        self.database = self._root / "database"
        self.database.mkdir()

    def copy_out(self) -> Path:
        """A copy of the database's files as they are now. Raises `OSError`."""
        copy = self._root / f"copy-{uuid.uuid4().hex}"
        try:
            _copy_files(self.database, copy)
        except OSError:
            shutil.rmtree(copy, ignore_errors=True)
            raise
        return copy

    def remove(self) -> None:
        """Give it up."""
        if self._lock is not None:
            self._lock.close()
        shutil.rmtree(self._root, ignore_errors=True)


class Snapshots:
    """The published state of one index folder.

    Args:
        folder: The index folder; made when first written.
        identity: What the manifest must say for the state to be of use.
    """

    def __init__(self, folder: Path, identity: dict[str, object]) -> None:
        self._folder = folder
        self._identity = identity

    def fetch(self) -> WorkingFolder | None:
        """A working copy of the published state, None where there is none.

        Raises `IndexMismatch` if it is damaged or foreign, `OSError` if the copy cannot be written.
        """
        tried: dict[str, Any] | None = None
        while (manifest := read_manifest(self._folder, self._identity)) is not None:
            # Another service may publish, and clear away, while we copy: only a manifest that stands still is to blame.
            if manifest == tried:
                raise IndexMismatch("The index's files are damaged; the index will be rebuilt.")
            tried = manifest
            if (working := self._copied(manifest)) is not None:
                return working
        return None

    def publish(self, copy: Path) -> None:
        """Make this copy of a working folder the index; the copy is used up. Raises `OSError`."""
        name = f"snapshot-{uuid.uuid4().hex}"
        try:
            files = _hashes(copy, durable=True)
            copy.rename(self._folder / name)
            sync_folder(self._folder)
        except OSError:
            shutil.rmtree(copy, ignore_errors=True)
            raise
        write_manifest(self._folder, self._identity | {"snapshot": name, "files": files})
        self._clear_away(name)

    def new_working_folder(self) -> WorkingFolder:
        """An empty one; those of processes that are gone are removed. Raises `OSError`."""
        for path in unnamed(self._folder, ("working-*",)):
            with suppress(OSError):
                if (lock := taken(path / LOCK)) is not None:
                    lock.close()
                    shutil.rmtree(path)
        return WorkingFolder(self._folder)

    def _copied(self, manifest: dict[str, Any]) -> WorkingFolder | None:
        name = manifest.get("snapshot")
        # A name, not a path: the manifest may not send us elsewhere.
        if not isinstance(name, str) or not name.startswith("snapshot-") or name != Path(name).name:
            return None
        working = self.new_working_folder()
        try:
            _copy_files(self._folder / name, working.database)
            # Native code and pickles trust what they read: nothing but our own bytes may reach them.
            hashes = _hashes(working.database)
            if hashes and hashes == manifest.get("files"):
                return working
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError:
            working.remove()
            raise
        working.remove()
        return None

    def _clear_away(self, current: str) -> None:
        for path in unnamed(self._folder, ("snapshot-*",), current):
            shutil.rmtree(path, ignore_errors=True)
        for path in unnamed(self._folder, (".writing-*",)):
            with suppress(OSError):
                path.unlink()


def _files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file() and path.name not in NOT_COPIED)


def _copy_files(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for path in _files(source):
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)


def _hashes(root: Path, *, durable: bool = False) -> dict[str, str]:
    """SHA-256 by posix name; `durable` also brings each file, and the folders that name them, to the disk."""
    hashes = {}
    for path in _files(root):
        with path.open("r+b") as handle:  # Windows flushes only what may be written
            hashes[path.relative_to(root).as_posix()] = hashlib.file_digest(handle, "sha256").hexdigest()
            if durable:
                os.fsync(handle.fileno())
    if durable:
        for folder in (root, *(path for path in root.rglob("*") if path.is_dir())):
            sync_folder(folder)
    return hashes
