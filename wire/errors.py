"""The one place where errors become HTTP statuses, and error objects as OpenAI's or Anthropic's clients read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Scope

from config import errors

ANTHROPICS = "/v1/messages"
NGINX_CLIENT_GONE = 499
_SERVERS_FAULT = 500
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """How one kind of error looks on the wire. Cline tries 429 and 5xx again; it shows other 4xx to the person."""

    status: int
    type: str
    code: str


ERROR_ROWS: dict[type[errors.RouterError], ErrorRow] = {
    errors.RouterError: ErrorRow(500, "server_error", "internal_error"),
    errors.BadRequest: ErrorRow(400, "invalid_request_error", "invalid_request"),
    errors.UnknownModel: ErrorRow(404, "invalid_request_error", "model_not_found"),
    errors.ContextTooLong: ErrorRow(400, "invalid_request_error", "context_length_exceeded"),
    errors.BodyTooLarge: ErrorRow(413, "invalid_request_error", "body_too_large"),
    errors.CompressedBody: ErrorRow(415, "invalid_request_error", "compressed_body"),
    errors.HeadTooLarge: ErrorRow(431, "invalid_request_error", "head_too_large"),
    errors.TooSlow: ErrorRow(408, "invalid_request_error", "request_timeout"),
    errors.Unauthorized: ErrorRow(401, "invalid_request_error", "invalid_api_key"),
    errors.Forbidden: ErrorRow(403, "invalid_request_error", "forbidden"),
    errors.BankNotFound: ErrorRow(404, "invalid_request_error", "memory_bank_not_found"),
    errors.RequestNotKept: ErrorRow(404, "invalid_request_error", "request_not_kept"),
    errors.MemoryDisabled: ErrorRow(404, "invalid_request_error", "memory_disabled"),
    errors.ConfigError: ErrorRow(500, "server_error", "configuration_error"),
    errors.MemoryUnavailable: ErrorRow(503, "server_error", "memory_unavailable"),
    errors.IndexMismatch: ErrorRow(503, "server_error", "memory_unavailable"),
    errors.BackendError: ErrorRow(502, "server_error", "backend_error"),
    errors.BackendUnavailable: ErrorRow(503, "server_error", "backend_unavailable"),
    errors.ModelMissing: ErrorRow(404, "invalid_request_error", "model_missing"),
    errors.ModelBroken: ErrorRow(503, "server_error", "model_broken"),
    errors.ModelRefused: ErrorRow(400, "invalid_request_error", "model_refused"),
    errors.ModelTimeout: ErrorRow(504, "server_error", "model_timeout"),
    errors.ConnectTimeout: ErrorRow(504, "server_error", "connect_timeout"),
    errors.LoadTimeout: ErrorRow(504, "server_error", "load_timeout"),
    errors.FirstTokenTimeout: ErrorRow(504, "server_error", "first_token_timeout"),
    errors.IdleTimeout: ErrorRow(504, "server_error", "idle_timeout"),
    errors.ModelBusy: ErrorRow(429, "rate_limit_error", "model_busy"),
    errors.SmallerWindow: ErrorRow(503, "server_error", "smaller_window"),
    errors.UpstreamBroken: ErrorRow(502, "server_error", "upstream_broken"),
    errors.EmptyAnswer: ErrorRow(502, "server_error", "empty_answer"),
    errors.ToolCallMissing: ErrorRow(502, "server_error", "tool_call_missing"),
}


def internal_error() -> errors.RouterError:
    """What a client is told of a fault of ours."""
    return errors.RouterError(
        "Something went wrong inside the router; its log has the details under this request's id."
    )


def error_row(error: errors.RouterError) -> ErrorRow:
    """The row of an error's own class."""
    return ERROR_ROWS[type(error)]


def error_object(error: errors.RouterError) -> dict[str, Any]:
    """OpenAI's error object."""
    row = error_row(error)
    return {
        "message": error.message,
        "type": row.type,
        "param": getattr(error, "param", None),
        "code": row.code,
    }


def anthropic_error_object(status: int, told: Mapping[str, Any]) -> dict[str, Any]:
    """The same for Anthropic's clients; `told` is OpenAI's."""
    # Claude Code makes its conversation shorter where it reads these words.
    lead = "prompt is too long: " if told["code"] == ERROR_ROWS[errors.ContextTooLong].code else ""
    kind = _ANTHROPIC_TYPES.get(status, "invalid_request_error" if status < _SERVERS_FAULT else "api_error")
    return {"type": kind, "message": f"{lead}{told['message']}"}


def error_body(status: int, told: Mapping[str, Any], *, path: str, request_id: str | None) -> bytes:
    """A response's body, in the form that the clients of the path's API read; `told` is OpenAI's error object."""
    if path.startswith(ANTHROPICS):
        error = anthropic_error_object(status, told)
        return orjson.dumps({"type": "error", "error": error, "request_id": request_id})
    return orjson.dumps({"error": told})


def error_response(error: errors.RouterError, scope: Scope, headers: Mapping[str, str] | None = None) -> Response:
    """The whole response, with `Retry-After` in whole seconds where trying again can help."""
    retry_after_s = getattr(error, "retry_after_s", None)
    extra = {"retry-after": str(max(1, round(retry_after_s)))} if retry_after_s else {}
    return plain_error(error_row(error).status, error_object(error), scope, {**(headers or {}), **extra})


def plain_error(
    status: int, told: Mapping[str, Any], scope: Scope, headers: Mapping[str, str] | None = None
) -> Response:
    """An OpenAI error object as the response to the request of `scope`."""
    request_id = scope.get("state", {}).get("request_id")
    body = error_body(status, told, path=scope["path"], request_id=request_id)
    return Response(body, status_code=status, media_type="application/json", headers=headers)
