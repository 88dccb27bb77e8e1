"""Vectors in an embedded Qdrant. With `qdrant_server.py` the only importer of qdrant_client, when a store is used.

Qdrant's own client and not LangChain's wrapper, which embeds texts itself; what is written here can be read through
that one. A point is a vector and the content id, never text. How the folder is laid out, and why: `snapshots.py`.
Qdrant's local files hold pickles: a folder of indexes must be as private as the service's own code.
"""

from __future__ import annotations

import uuid
from contextlib import AbstractContextManager, nullcontext
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from retrievers.stores.embedded import EmbeddedStore
from retrievers.types import Vectors

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

FORMAT = "qdrant 1"
COLLECTION = "vectors"
# Where LangChain's wrapper looks for what belongs to a point.
PAYLOAD_KEY = "metadata"
ID_KEY = "content_id"
POINTS_PER_CALL = 256
POINTS_PER_PAGE = 2_000


class QdrantStore(EmbeddedStore):
    """Exact cosine search in Qdrant's local mode, by content id.

    Args:
        folder: Where the index lives; made when first written.
        embedder_name: Whose vectors these are; others on disk raise `IndexMismatch` on `load`.
        dimension: Length of each vector.
    """

    def __init__(self, folder: Path, embedder_name: str, dimension: int) -> None:
        super().__init__(folder, embedder_name, dimension, format_name=FORMAT, open_database=_open_local)


class Points:
    """The points of one collection, by content id, through either kind of client.

    Args:
        client: Of a server, or of a local folder.
        collection: Its name.
        search_timeout_s: How long a server may search; it then searches exactly, as a local folder always does.
    """

    def __init__(self, client: QdrantClient, collection: str, *, search_timeout_s: int | None = None) -> None:
        from qdrant_client import models  # noqa: PLC0415 - takes a second, and may not be installed

        self._client = client
        self._collection = collection
        self._models = models
        self._search_params = models.SearchParams(exact=True) if search_timeout_s is not None else None
        self._search_timeout_s = search_timeout_s

    def create(self, dimension: int) -> None:
        """Make the collection."""
        vectors = self._models.VectorParams(size=dimension, distance=self._models.Distance.COSINE)
        self._client.create_collection(self._collection, vectors_config=vectors)

    def ids(self) -> frozenset[str]:
        """The content ids of all points."""
        found: set[str] = set()
        page = None
        while True:
            points, page = self._client.scroll(
                self._collection, limit=POINTS_PER_PAGE, offset=page, with_payload=True, with_vectors=False
            )
            found.update(_content_id(point.payload) for point in points)
            if page is None:
                return frozenset(found)

    def upsert(self, ids: list[str], vectors: Vectors) -> None:
        """Add or replace; ids are unique."""
        for start in range(0, len(ids), POINTS_PER_CALL):
            part = slice(start, start + POINTS_PER_CALL)
            points = [
                self._models.PointStruct(
                    id=_point_id(content_id), vector=vector, payload={PAYLOAD_KEY: {ID_KEY: content_id}}
                )
                for content_id, vector in zip(ids[part], vectors[part].tolist(), strict=True)
            ]
            self._client.upsert(self._collection, points=points, wait=True)

    def delete(self, ids: list[str]) -> None:
        """Remove; unknown ids are ignored."""
        for start in range(0, len(ids), POINTS_PER_PAGE):
            points: list[int | str | uuid.UUID] = [_point_id(each) for each in ids[start : start + POINTS_PER_PAGE]]
            self._client.delete(self._collection, points_selector=points, wait=True)

    def nearest(self, vector: Vectors, k: int) -> list[tuple[str, float]]:
        """At most `k` `(id, cosine similarity)`, best first."""
        found = self._client.query_points(
            self._collection,
            query=vector.tolist(),
            limit=k,
            search_params=self._search_params,
            with_payload=True,
            with_vectors=False,
            timeout=self._search_timeout_s,
        )
        return [(_content_id(point.payload), point.score) for point in found.points]

    def settled(self) -> AbstractContextManager[None]:
        """Each call of the local client commits to its SQLite file."""
        return nullcontext()

    def close(self) -> None:
        """Close the client."""
        self._client.close()


def _open_local(folder: Path, dimension: int) -> Points:
    from qdrant_client import QdrantClient  # noqa: PLC0415 - takes a second, and may not be installed

    # The store lets one thread at a time in, so SQLite need not insist on the one that opened it.
    client = QdrantClient(path=str(folder), force_disable_check_same_thread=True)
    points = Points(client, COLLECTION)
    try:
        if not client.collection_exists(COLLECTION):
            points.create(dimension)
    except BaseException:
        client.close()
        raise
    return points


def _point_id(content_id: str) -> str:
    """Qdrant takes numbers and UUIDs only."""
    return str(uuid.UUID(bytes=blake2b(content_id.encode(), digest_size=16).digest()))


def _content_id(payload: dict[str, object] | None) -> str:
    metadata = (payload or {}).get(PAYLOAD_KEY)
    if not isinstance(metadata, dict):
        raise TypeError("a point without our payload")
    return str(metadata[ID_KEY])
