"""The closed tree of everything that can go wrong on purpose.

    RouterError
    ├── BadRequest                 the client must change the request
    │   ├── UnknownModel
    │   ├── ContextTooLong
    │   ├── BodyTooLarge
    │   ├── CompressedBody         it would have to be unpacked, to no known size
    │   ├── HeadTooLarge
    │   ├── TooSlow                its head or body took too long to arrive
    │   ├── Unauthorized           the key is missing or wrong
    │   ├── Forbidden              a folder that is not to be read, a page of another site, a foreign host name
    │   ├── BankNotFound
    │   ├── RequestNotKept         a past request that is not remembered any more
    │   └── MemoryDisabled
    ├── ConfigError                a file or variable of the user's needs mending
    ├── MemoryUnavailable          the memory bank or its index cannot be used now
    │   └── IndexMismatch
    └── BackendError               the model side failed
        ├── BackendUnavailable     nothing answers; trying again may help
        ├── ModelMissing
        ├── ModelBroken            its last calls failed; none is made for a while
        ├── ModelRefused           the model's server said no to this very request
        ├── ModelTimeout           one of the time limits ran out
        │   ├── ConnectTimeout
        │   ├── LoadTimeout
        │   ├── FirstTokenTimeout
        │   └── IdleTimeout
        ├── ModelBusy
        ├── SmallerWindow          loaded with less than was planned with; planned anew, nobody is told
        ├── UpstreamBroken         the answer broke off or made no sense
        ├── EmptyAnswer            there was none, twice
        └── ToolCallMissing        it had to be a tool call and was none

`wire/errors.py` is the one place that maps these to HTTP and OpenAI error objects. Every message is one sentence that
a developer can act on.
"""

from __future__ import annotations


class RouterError(Exception):
    """Base of all errors the service raises on purpose; `message` may be shown to the client."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequest(RouterError):
    """The request cannot be served as it is; `param` names the field, e.g. `messages[0].role`."""

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class UnknownModel(BadRequest):
    """The client asked for a model that this service does not offer."""


class ContextTooLong(BadRequest):
    """The request does not fit the window, even without memory."""


class BodyTooLarge(BadRequest):
    """The request's body is larger than `server.max_body_bytes`."""


class CompressedBody(BadRequest):
    """The request's body is packed in a way that nothing here unpacks."""


class HeadTooLarge(BadRequest):
    """The request's line and headers are larger than any client's."""


class TooSlow(BadRequest):
    """The request did not arrive whole within its time."""


class Unauthorized(BadRequest):
    """The service asks for a key, and the request has none or another."""


class Forbidden(BadRequest):
    """What is asked for is not given to this client, or to none, e.g. a workspace outside `workspace_roots`."""


class BankNotFound(BadRequest):
    """The workspace has no memory bank, where one is needed."""


class RequestNotKept(BadRequest):
    """A past request is not among the last ones that are remembered."""


class MemoryDisabled(BadRequest):
    """The configuration switches memory off."""


class ConfigError(RouterError):
    """A configuration file or variable is wrong; names file, key, value and bound."""


class MemoryUnavailable(RouterError):
    """The memory bank cannot be read or ranked now; requests go on without it."""


class IndexMismatch(MemoryUnavailable):
    """An index on disk was written by another embedder, dimension or version."""


class BackendError(RouterError):
    """The model side failed.

    `retry_after_s` is set where the client had better wait before it tries again; `transient` is what may be gone a
    second later, so that the router tries again by itself while nothing was sent.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None, transient: bool = False) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.transient = transient


class BackendUnavailable(BackendError):
    """No model server answers."""


class ModelMissing(BackendError):
    """The model server does not have the model; the message holds the `ollama pull` to type."""


class ModelBroken(BackendError):
    """The model's last calls failed, so that no call is made for a while (`backend.breaker_open_s`)."""


class ModelRefused(BackendError):
    """The model server refused this request (its 400), e.g. tools for a model that has none."""


class ModelTimeout(BackendError):
    """One of the four time limits of a call ran out."""


class ConnectTimeout(ModelTimeout):
    """The model server's port did not accept a connection in time (`backend.connect_timeout_s`)."""


class LoadTimeout(ModelTimeout):
    """The model was not loaded in time (`backend.load_timeout_s`)."""


class FirstTokenTimeout(ModelTimeout):
    """The model is loaded and gave no token in time (`backend.first_token_timeout_s`)."""


class IdleTimeout(ModelTimeout):
    """The model fell silent within its answer (`backend.idle_timeout_s`)."""


class ModelBusy(BackendError):
    """Too many requests wait for this model already."""


class SmallerWindow(BackendError):
    """The server loaded the model with a smaller window than the call was planned with, so that it was not made."""


class UpstreamBroken(BackendError):
    """The model's answer ended without its end mark, or was not what the protocol says."""


class EmptyAnswer(BackendError):
    """The model gave neither words nor a tool call, also when it was asked once more."""


class ToolCallMissing(BackendError):
    """The model did not make the tool call that `tool_choice` asks for."""
