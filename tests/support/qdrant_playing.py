"""Not Qdrant's server: its REST requests, answered by the local engine of Qdrant's own client, over a real socket.

    with PlayedQdrant() as qdrant:
        client = QdrantClient(url=qdrant.url)

It knows the requests that the store sends, and no others. `status` and `delay_s` make it answer wrongly or late.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel
from qdrant_client import QdrantClient, models

FOR_MISSING_COLLECTIONS = {("GET", "exists"), ("PUT", "")}


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    method: str
    path: str
    query: str
    api_key: str | None
    body: dict[str, Any]


class PlayedQdrant:
    """Answers on a free loopback port from `__enter__` to `__exit__`; keeps what it was asked."""

    def __init__(self, *, api_key: str | None = None) -> None:
        self.api_key = api_key
        self.status = 200
        self.delay_s = 0.0
        self.text: bytes | None = None
        self.asked: list[Asked] = []
        self.engine = QdrantClient(":memory:")
        self._one_at_a_time = threading.Lock()
        self._stopped = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self.engine.close()

    def collections(self) -> list[str]:
        return [each.name for each in self.engine.get_collections().collections]

    def answer(self, asked: Asked) -> tuple[int, bytes]:
        self.asked.append(asked)
        if self._stopped.wait(self.delay_s):
            return 503, b""
        if self.text is not None:
            return self.status, self.text
        if self.status != 200:
            return self.status, b'{"status": {"error": "played"}}'
        if self.api_key is not None and asked.api_key != self.api_key:
            return 401, b"Must provide an API key"
        _, _, name, what = f"{asked.path}//".split("/", 3)
        request = (asked.method, what.rstrip("/"))
        with self._one_at_a_time:
            if name and request not in FOR_MISSING_COLLECTIONS and not self.engine.collection_exists(name):
                return 404, b'{"status": {"error": "Not found: Collection"}}'
            result = self._played(name)[request](name, asked.body)
        return 200, json.dumps({"result": result, "status": "ok", "time": 0.0}).encode()

    def _played(self, name: str) -> dict[tuple[str, str], Callable[[str, dict[str, Any]], object]]:
        if not name:
            return {("GET", ""): lambda _, __: _plain(self.engine.get_collections())}
        return {
            ("GET", "exists"): lambda name, _: {"exists": self.engine.collection_exists(name)},
            ("GET", ""): lambda name, _: _plain(self.engine.get_collection(name)),
            ("PUT", ""): self._create,
            ("DELETE", ""): lambda name, _: self.engine.delete_collection(name),
            ("PUT", "points"): self._upsert,
            ("POST", "points/delete"): lambda name, body: _plain(self.engine.delete(name, body["points"])),
            ("POST", "points/scroll"): self._scroll,
            ("POST", "points/query"): self._query,
        }

    def _create(self, name: str, body: dict[str, Any]) -> bool:
        return self.engine.create_collection(name, models.VectorParams.model_validate(body["vectors"]))

    def _upsert(self, name: str, body: dict[str, Any]) -> object:
        return _plain(self.engine.upsert(name, [models.PointStruct.model_validate(point) for point in body["points"]]))

    def _scroll(self, name: str, body: dict[str, Any]) -> object:
        records, page = self.engine.scroll(name, limit=body["limit"], offset=body.get("offset"))
        return {"points": [_plain(record) for record in records], "next_page_offset": page}

    def _query(self, name: str, body: dict[str, Any]) -> object:
        return _plain(self.engine.query_points(name, body["query"]["nearest"], limit=body["limit"]))

    def _handler(played) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the request's
        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                url = urlsplit(self.path)
                key = self.headers.get("api-key")
                asked = Asked(self.command, url.path, url.query, key, json.loads(body) if body else {})
                status, answer = played.answer(asked)
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)
                except OSError:
                    pass  # the client has given up on a late answer

            do_GET = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815 - the base class's names

            def log_message(self, *args: object) -> None:
                pass

        return Handler


def _plain(model: BaseModel) -> object:
    return model.model_dump(mode="json")
