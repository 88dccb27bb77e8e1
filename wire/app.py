"""The FastAPI application: routes, error objects for everything, and the lifespan that opens the router."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import partial

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from config.errors import BadRequest, RouterError
from config.settings import Settings
from wire import chat, embeddings, health, memory, messages, metrics, models, responses, route
from wire.errors import NGINX_CLIENT_GONE, error_object, error_response, internal_error, plain_error
from wire.gate import Access, Gate
from wire.intake import Intake, IntakeMiddleware
from wire.late_routes import LateRoutes, LateRoutesMiddleware
from wire.metrics import Metrics
from wire.openapi import describe
from wire.page import routes as page
from wire.page.board import Board
from wire.problems import as_bad_request
from wire.published import CHAT_PATH, PATH, publish
from wire.published_guard import PublishedGuard
from wire.published_questions import QUESTIONS, bad_question
from wire.request_id import HEADER, RequestIdMiddleware, random_id, request_id_of
from wire.service import RouterService
from wire.twins import Twins

OpenService = Callable[[], AbstractAsyncContextManager[RouterService]]

log = structlog.get_logger(__name__)


def create_app(
    open_service: OpenService, settings: Settings, *, version: str, new_id: Callable[[], str] = random_id
) -> FastAPI:
    """The application; `open_service` is entered at start-up and left at shutdown, `new_id` names requests."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_service() as service:
            app.state.metrics = Metrics()
            app.state.service = replace(service, watchers=(*service.watchers, app.state.metrics.watch))
            app.state.board = Board(app.state.service)
            app.state.twins = Twins()
            yield
            await app.state.twins.aclose()

    app = FastAPIOffline(
        redoc_url=None,  # asks for its logo elsewhere
        favicon_url="/page/assets/icon.svg",
        title="cline-memory-router",
        version=version,
        description="One OpenAI-compatible model in front of three local ones, with the project's memory bank.",
        lifespan=lifespan,
    )

    def running() -> RouterService:
        service: RouterService = app.state.service
        return service

    published = LateRoutes(partial(publish, app, running))
    app.add_middleware(LateRoutesMiddleware, routes=published, paths=(PATH, CHAT_PATH))
    app.add_middleware(PublishedGuard, paths=(PATH, CHAT_PATH), server=settings.server)
    app.state.intake = Intake()
    app.add_middleware(IntakeMiddleware, intake=app.state.intake)
    app.add_middleware(Gate, access=Access.of(settings))
    app.add_middleware(RequestIdMiddleware, new_id=new_id)
    app.add_exception_handler(RouterError, _router_error)
    app.add_exception_handler(ClientDisconnect, _client_gone)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ValidationError, _bad_question)
    app.add_exception_handler(Exception, _unexpected_error)
    app.include_router(chat.routes)
    app.include_router(responses.routes)
    app.include_router(messages.routes)
    app.include_router(embeddings.routes)
    app.include_router(route.routes)
    app.include_router(models.routes)
    app.include_router(health.routes)
    app.include_router(metrics.routes)
    app.include_router(memory.routes)
    app.include_router(page.routes)
    describe(app, published.ensure)
    return app


async def _router_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RouterError)  # noqa: S101 - registered for RouterError only
    return error_response(error, request.scope)


async def _client_gone(_: Request, __: Exception) -> Response:
    return Response(status_code=NGINX_CLIENT_GONE)


async def _validation_error(request: Request, error: Exception) -> Response:
    """Of a query, or LangServe's of an input."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it only
    problem = next(iter(error.errors()), "invalid request")
    if not isinstance(problem, dict):
        return error_response(BadRequest(f"{problem}: mend the body.", param="body"), request.scope)
    place = tuple(part for part in problem["loc"] if part != "query")
    given = getattr(error.body, "input", error.body)
    return error_response(as_bad_request({**problem, "loc": place}, given), request.scope)


async def _bad_question(request: Request, error: Exception) -> Response:
    """LangServe validates each question of a batch by itself, and lets the error out."""
    if isinstance(error, ValidationError) and error.title in QUESTIONS:
        return error_response(bad_question(error), request.scope)
    return await _unexpected_error(request, error)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it only
    message = str(error.detail)
    if error.status_code in {404, 405}:
        message = f"{request.method} {request.url.path} is not served here: see /docs for what is."
    return plain_error(error.status_code, error_object(BadRequest(message)), request.scope, error.headers)


async def _unexpected_error(request: Request, error: Exception) -> Response:
    # Starlette answers these outside all middleware, so the id's header is set here.
    request_id = request_id_of(request)
    log.error("unexpected error", id=request_id, path=request.url.path, exc_info=error)
    return error_response(internal_error(), request.scope, {HEADER: request_id})
