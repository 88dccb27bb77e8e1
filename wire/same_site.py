"""Keeps pages of other sites away: a browser sends their requests with no questions asked."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers

_OURS = frozenset({"same-origin", "none"})


def asked_by_other_site(headers: Headers, listed: Collection[str]) -> bool:
    """Whether a browser says that another site's page asks, and none of the `listed`; other tools say nothing."""
    origin, fetched_by = headers.get("origin"), headers.get("sec-fetch-site")
    if origin in listed:
        return False
    if origin is not None and _host(origin) != headers.get("host"):
        return True
    return fetched_by is not None and fetched_by not in _OURS


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
