"""Vectors on a Qdrant server: content ids and vectors are sent to it, never text.

    <folder>/manifest.json    format, embedder, dimension, name of the collection

The collection is named after the folder and a random suffix, so that two machines with the same paths do not meet
on one server. Services on one folder share it. What is added or removed is on the server at once, point by point:
a crash leaves some of a build's points, each right by itself, as ids are hashes of content.
"""

from __future__ import annotations

import json
import threading
import uuid
import weakref
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from config.errors import IndexMismatch, MemoryUnavailable
from retrievers.stores.embedded import unwritable
from retrievers.stores.locks import taken
from retrievers.stores.manifest import MANIFEST, identity, read_manifest, write_manifest
from retrievers.stores.qdrant import Points
from retrievers.stores.shapes import as_cosine, check_query, rows_by_id
from retrievers.types import Vectors

FORMAT = "qdrant-server 1"
LOCK = "lock.sqlite"
# A person waits for a search; a build is in the background.
SEARCH_TIMEOUT_S = 2
BUILD_TIMEOUT_S = 30


class QdrantServerStore:
    """Exact cosine search on a Qdrant server, by content id.

    Args:
        folder: Where the manifest lives; made when first written.
        embedder_name: Whose vectors these are; others raise `IndexMismatch` on `load`.
        dimension: Length of each vector.
        url: Of the server; port 6333 where it names none.
        api_key: What the server asks for, if anything.
    """

    def __init__(self, folder: Path, embedder_name: str, dimension: int, *, url: str, api_key: str | None) -> None:
        from qdrant_client import QdrantClient  # noqa: PLC0415 - takes a second, and may not be installed

        self._folder = folder
        self._identity = identity(FORMAT, embedder_name, dimension)
        self._dimension = dimension
        self._server = urlsplit(url).netloc
        self._client = QdrantClient(
            url=url,
            # As a header: as an argument it is warned of with every plain http URL, loopback or not.
            headers={"api-key": api_key} if api_key else None,
            timeout=BUILD_TIMEOUT_S,
            check_compatibility=False,
            trust_env=False,
        )
        weakref.finalize(self, self._client.close)
        self._lock = threading.Lock()
        self._points: Points | None = None
        self._was_empty = False

    def load(self) -> None:
        """Find what the server holds; nothing in the folder is an empty store. Raises `IndexMismatch` if
        damaged or foreign, `MemoryUnavailable` where the server does not answer.
        """
        with self._lock:
            self._points = self._found()
            self._was_empty = self._points is None
            if self._was_empty:
                with self._answers():
                    # Before anything is embedded for a server that is not there.
                    self._client.get_collections()

    def save(self) -> None:
        """The server has it all already; a store that nothing was added to is made known. Raises `OSError`."""
        with self._lock:
            self._opened()

    def ids(self) -> frozenset[str]:
        """The content ids that have a vector."""
        with self._answers():
            return self._points.ids() if self._points is not None else frozenset()

    def add(self, ids: Sequence[str], vectors: Vectors) -> None:
        """Add or replace; `vectors` is `(len(ids), dimension)` float32. Raises `IndexMismatch` on another
        shape.
        """
        rows = rows_by_id(ids, vectors, self._dimension)
        if not rows:
            return
        try:
            with self._lock:
                points = self._opened()
        except OSError as exc:
            raise unwritable(exc) from exc
        with self._answers():
            points.upsert(list(rows), np.asarray(vectors[list(rows.values())], dtype=np.float32))

    def remove(self, ids: Collection[str]) -> None:
        """Remove; unknown ids are ignored."""
        with self._answers():
            if ids and self._points is not None:
                self._points.delete(list(dict.fromkeys(ids)))

    def search(self, vector: Vectors, k: int) -> list[tuple[str, float]]:
        """At most `k` `(id, cosine similarity)`, best first; `vector` is `(dimension,)`, normalised."""
        check_query(vector, self._dimension)
        with self._answers():
            if k <= 0 or self._points is None:
                return []
            found = self._points.nearest(np.asarray(vector, dtype=np.float32), k)
        return [(content_id, as_cosine(score)) for content_id, score in found]

    def _found(self) -> Points | None:
        """The collection that the manifest names, None where there is no manifest."""
        manifest = read_manifest(self._folder, self._identity)
        if manifest is None:
            return None
        lost = IndexMismatch("The index's collection is gone or another one; the index will be rebuilt.")
        name = manifest.get("collection")
        if not isinstance(name, str):
            raise lost
        with self._answers():
            if not self._client.collection_exists(name):
                raise lost
            vectors = self._client.get_collection(name).config.params.vectors
        if isinstance(vectors, dict) or vectors is None or vectors.size != self._dimension:
            raise lost
        return self._at(name)

    def _opened(self) -> Points:
        """The collection, made where there is none yet; what a store that was not loaded replaces is deleted."""
        if self._points is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = taken(self._folder / LOCK, wait_s=BUILD_TIMEOUT_S)
            try:
                self._points = self._begun_since() or self._new()
            finally:
                if lock is not None:
                    lock.close()
        return self._points

    def _begun_since(self) -> Points | None:
        """What another service began after we found nothing: both then go on with one collection."""
        with suppress(IndexMismatch):
            return self._found() if self._was_empty else None
        return None

    def _new(self) -> Points:
        replaced = self._named_before()
        name = f"{self._prefix}{uuid.uuid4().hex[:8]}"
        points = self._at(name)
        with self._answers():
            points.create(self._dimension)
        write_manifest(self._folder, self._identity | {"collection": name})
        if replaced is not None:
            with suppress(MemoryUnavailable), self._answers():
                self._client.delete_collection(replaced)
        return points

    @property
    def _prefix(self) -> str:
        return f"cline-memory-{self._folder.name}-"

    def _named_before(self) -> str | None:
        try:
            name = json.loads((self._folder / MANIFEST).read_bytes())["collection"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return name if isinstance(name, str) and name.startswith(self._prefix) else None

    def _at(self, name: str) -> Points:
        return Points(self._client, name, search_timeout_s=SEARCH_TIMEOUT_S)

    @contextmanager
    def _answers(self) -> Iterator[None]:
        """What goes wrong between us and the server, as one sentence on what to do."""
        from qdrant_client.http.exceptions import (  # noqa: PLC0415 - see above
            ResponseHandlingException,
            UnexpectedResponse,
        )

        server = f"The Qdrant server at {self._server}"
        try:
            yield
        except MemoryUnavailable:
            raise
        except UnexpectedResponse as exc:
            if exc.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
                text = f"{server} refused the key; set QDRANT_API_KEY and restart the service."
            elif exc.status_code == HTTPStatus.NOT_FOUND:
                text = f"{server} has lost this index's collection; restart the service to build it again."
            else:
                text = f"{server} answered {exc.status_code}; see its log for the reason."
            raise MemoryUnavailable(text) from exc
        except ResponseHandlingException as exc:
            raise MemoryUnavailable(
                f"{server} does not answer ({type(exc.source).__name__}); start it, mend memory.qdrant_url, or choose "
                "another memory.store."
            ) from exc
        except Exception as exc:
            raise MemoryUnavailable(
                f"{server} does not answer as Qdrant does ({type(exc).__name__}); check memory.qdrant_url."
            ) from exc
