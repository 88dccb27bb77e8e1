"""Every error has its row, and says on the wire what a client may do."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from config import errors
from wire.errors import ERROR_ROWS, error_object, error_response, error_row

CHAT: dict[str, Any] = {"path": "/v1/chat/completions"}
MESSAGES: dict[str, Any] = {"path": "/v1/messages", "state": {"request_id": "r"}}
RETRIED_BY_CLINE = {408, 409, 429, 500, 502, 503, 504}


def tree(root: type[errors.RouterError]) -> Iterator[type[errors.RouterError]]:
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


@pytest.mark.parametrize("kind", list(tree(errors.RouterError)), ids=lambda kind: kind.__name__)
def test_every_error_has_a_row(kind: type[errors.RouterError]) -> None:
    row = error_row(kind("What to do."))
    assert 400 <= row.status < 600
    assert row.type in {"invalid_request_error", "rate_limit_error", "server_error"}
    assert (row.type == "invalid_request_error") == (row.status in {400, 401, 403, 404, 408, 413, 415, 431})
    answer = error_response(kind("What to do."), CHAT)
    body = orjson.loads(answer.body)
    assert answer.status_code == row.status
    assert body == {"error": {"message": "What to do.", "type": row.type, "param": None, "code": row.code}}


def test_there_is_no_row_for_an_error_that_is_gone() -> None:
    assert set(ERROR_ROWS) == set(tree(errors.RouterError))


def test_what_may_help_to_try_again_is_retried_by_clients() -> None:
    for kind in (errors.BackendUnavailable, errors.ModelBusy, errors.ModelTimeout, errors.UpstreamBroken):
        assert error_row(kind("x")).status in RETRIED_BY_CLINE
    for refused in (
        errors.BadRequest,
        errors.ContextTooLong,
        errors.Forbidden,
        errors.ModelMissing,
        errors.ModelRefused,
    ):
        assert error_row(refused("x")).status not in RETRIED_BY_CLINE


@pytest.mark.parametrize(("seconds", "header"), [(5.0, "5"), (0.2, "1"), (9.6, "10")])
def test_retry_after_is_whole_seconds_and_never_none(seconds: float, header: str) -> None:
    error = errors.BackendUnavailable("Gone.", retry_after_s=seconds)
    answer = error_response(error, CHAT, {"x-request-id": "r"})
    assert answer.headers["retry-after"] == header
    assert answer.headers["x-request-id"] == "r"


def test_no_retry_after_where_it_would_not_help() -> None:
    assert "retry-after" not in error_response(errors.ModelMissing("Pull it."), CHAT).headers
    assert "retry-after" not in error_response(errors.BadRequest("Mend it.", param="n"), CHAT).headers


def test_the_field_is_named() -> None:
    assert error_object(errors.ContextTooLong("Too long.", param="messages")) == {
        "message": "Too long.",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "context_length_exceeded",
    }


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (errors.BadRequest("Mend it."), "invalid_request_error", "Mend it."),
        (errors.Unauthorized("Send it."), "authentication_error", "Send it."),
        (errors.BodyTooLarge("Less."), "request_too_large", "Less."),
        (errors.HeadTooLarge("Less."), "invalid_request_error", "Less."),
        (errors.BackendUnavailable("Gone."), "overloaded_error", "Gone."),
        (errors.UpstreamBroken("Broke."), "api_error", "Broke."),
        (errors.ContextTooLong("9 > 8."), "invalid_request_error", "prompt is too long: 9 > 8."),
    ],
)
def test_anthropics_clients_are_told_in_their_own_form(error: errors.RouterError, kind: str, message: str) -> None:
    answer = error_response(error, MESSAGES)
    told = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "r"}
    assert (answer.status_code, orjson.loads(answer.body)) == (error_row(error).status, told)
