"""What every request passes before any route sees it: the host's name, the asking site, the key. Bodies stay unread."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

import structlog
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from config.errors import Forbidden, RouterError, Unauthorized
from config.settings import Settings
from wire.errors import error_response, error_row
from wire.host_names import as_address, is_known_host
from wire.request_id import HEADER
from wire.same_site import asked_by_other_site

OPEN_TO_ALL = "/health/live"
HELD_BACK = ("/memory/", "/page/")
# Each in a header of its own: a browser takes one header for one challenge, and asks nobody for an unknown one.
CHALLENGES = ("Bearer", 'Basic realm="cline-memory-router: any name, the API_KEY as password", charset="UTF-8"')
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_TOLD = (
    HEADER,
    "x-router-role",
    "x-router-model",
    "x-router-reason",
    "x-router-fallback",
    "x-router-context",
    "x-router-conversation",
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask: by which host names, from pages of which origins, with which key (None: whoever is on loopback)."""

    host_names: frozenset[str]
    origins: frozenset[str]
    key: SecretStr | None

    @classmethod
    def of(cls, settings: Settings) -> Access:
        """As configured."""
        server = settings.server
        return cls(frozenset({server.host, *server.allowed_hosts}), frozenset(server.cors_origins), settings.api_key)


class Gate:
    """Middleware that refuses what `Access` does not let in, and speaks CORS with the listed origins only."""

    def __init__(self, app: ASGIApp, *, access: Access) -> None:
        self._app = app
        self._access = access
        self._for_listed_origins = CORSMiddleware(
            self._let_in,
            allow_origins=access.origins,
            allow_methods=("GET", "POST"),
            allow_headers=("*",),
            expose_headers=_TOLD,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check_caller(scope)
        except Forbidden as error:
            await _refuse(error, scope, receive, send)
            return
        listed = Headers(scope=scope).get("origin") in self._access.origins
        await (self._for_listed_origins if listed else self._let_in)(scope, receive, send)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._check_key(scope)
        except Unauthorized as error:
            await _refuse(error, scope, receive, send, CHALLENGES)
            return
        await self._app(scope, receive, send)

    def _check_caller(self, scope: Scope) -> None:
        headers, access = Headers(scope=scope), self._access
        connected_to = (scope.get("server") or (None,))[0]
        named = headers.getlist("host")
        if len(named) != 1 or not is_known_host(named[0], access.host_names, connected_to):
            raise Forbidden(
                f"This service is not known as {', '.join(named)[:100]!r}: ask for it as localhost, or add the name to "
                "server.allowed_hosts."
            )
        address = as_address(connected_to or "")
        if access.key is None and address is not None and not address.is_loopback:
            raise Forbidden("This service answers on loopback only, as it has no key: set API_KEY and start it again.")
        changes = scope["method"] not in _READING
        if (changes or scope["path"].startswith(HELD_BACK)) and asked_by_other_site(headers, access.origins):
            raise Forbidden(
                "A page of another site asked for this, and those may neither use models nor see memory banks: add its "
                "origin to server.cors_origins, or ask from a terminal."
            )

    def _check_key(self, scope: Scope) -> None:
        if self._access.key is None or scope["path"] == OPEN_TO_ALL:
            return
        key, given = self._access.key.get_secret_value(), _given_key(Headers(scope=scope))
        # As bytes: headers come as Latin-1, keys of other characters are sent as UTF-8.
        if not hmac.compare_digest(given.encode("latin-1"), key.encode()):
            raise Unauthorized(
                f"The key is {'wrong' if given else 'missing'}: send the service's API_KEY as 'Authorization: Bearer'."
            )


def _given_key(headers: Headers) -> str:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    match scheme.lower():
        case "bearer":
            return given.strip()
        case "basic":
            return _password(given.strip())
        case _:
            return headers.get("x-api-key", "")


def _password(credentials: str) -> str:
    """What a browser sends once a person has typed the key as password, under any name; "" where it is none."""
    try:
        decoded = base64.b64decode(credentials, validate=True)
    except ValueError:
        return ""
    return decoded.partition(b":")[2].decode("latin-1")


async def _refuse(
    error: RouterError, scope: Scope, receive: Receive, send: Send, challenges: Iterable[str] = ()
) -> None:
    log.warning("refused", id=scope["state"]["request_id"], code=error_row(error).code)
    response = error_response(error, scope)
    for challenge in challenges:
        response.headers.append("www-authenticate", challenge)
    await response(scope, receive, send)
