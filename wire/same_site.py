"""Keeps pages of other sites away from what is read by hand: a browser sends their requests with no questions asked."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request

from config.errors import Forbidden

_OURS = frozenset({"same-origin", "none"})


def refuse_other_sites(request: Request) -> None:
    """Raise `Forbidden` where a browser says that another site asks; tools that are no browsers say nothing."""
    fetched_by = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if (fetched_by is None or fetched_by in _OURS) and (origin is None or _host(origin) == request.headers.get("host")):
        return
    raise Forbidden(
        "A page of another site asked for this, and memory banks are not shown to those: open the address itself, or "
        "ask from a terminal."
    )


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
