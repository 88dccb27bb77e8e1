"""The memory bank by hand: what is in it, what it says to a question, and to look at it afresh."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from config.errors import BadRequest, BankNotFound, Forbidden, MemoryDisabled
from retrievers.memory import MemoryService
from retrievers.types import BankStatus
from wire.body import read_json
from wire.memory_replies import (
    BankReply,
    SearchReply,
    StatusReply,
    bank_reply,
    search_reply,
    status_reply,
)
from wire.service import RouterService, service_of
from wire.validate import validated

MAX_WORKSPACE_CHARS = 4_096
MAX_PASSAGES = 50
MAX_BUDGET_TOKENS = 200_000

routes = APIRouter(
    prefix="/memory",
    tags=["memory"],
)

WorkspaceQuery = Annotated[
    str | None,
    Query(
        description="The project's folder, an absolute path on the service's machine; memory.default_workspace else."
    ),
]


class RefreshRequest(BaseModel):
    """The body of a refresh, which may be left out."""

    model_config = ConfigDict(extra="forbid")

    workspace: str | None = None


@routes.get("/status")
async def memory_status(request: Request, workspace: WorkspaceQuery = None) -> StatusReply:
    """The bank's files with sizes and ages, the paths they mention in vain, and whether the bank is stale."""
    service = service_of(request)
    place = await _workspace(service, workspace)
    report = await service.memory.report(place)
    await check_found(service.memory, report.status)
    return status_reply(report)


@routes.get("/search")
async def memory_search(
    request: Request,
    workspace: WorkspaceQuery = None,
    q: Annotated[str, Query(description="The question; its first 2,000 characters count.")] = "",
    k: Annotated[int, Query(ge=1, le=MAX_PASSAGES, description="At most so many passages.")] = 8,
    budget_tokens: Annotated[
        int, Query(ge=1, le=MAX_BUDGET_TOKENS, description="At most so many tokens in all passages together.")
    ] = 8_000,
) -> SearchReply:
    """The passages that a question gets from the bank, also of a bank that would go into a prompt whole."""
    service = service_of(request)
    place = await _workspace(service, workspace)
    if not q.strip():
        raise BadRequest("q: is empty: say what to look for.", param="q")
    status = await service.memory.status(place)
    await check_found(service.memory, status)
    return search_reply(status, await service.memory.search(place, q, k, budget_tokens=budget_tokens), k)


@routes.post(
    "/refresh",
    status_code=202,
    response_model=BankReply,
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": RefreshRequest.model_json_schema()}}}},
)
async def memory_refresh(request: Request, workspace: WorkspaceQuery = None) -> BankReply | Response:
    """Forget what is kept of the bank, read it afresh and start to index it; `/memory/status` tells how far that is."""
    service = service_of(request)
    asked = await _refresh_request(request, service)
    place = await _workspace(service, asked.workspace if asked.workspace is not None else workspace)
    status = await service.memory.refresh(place)
    await check_found(service.memory, status)
    return bank_reply(status)


async def _refresh_request(request: Request, service: RouterService) -> RefreshRequest:
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return RefreshRequest()
    body = await read_json(request, max_bytes=service.settings.server.max_body_bytes)
    return validated(RefreshRequest, body)


async def _workspace(service: RouterService, asked: str | None) -> Path:
    """The workspace that was asked for, or the default one; raises what keeps it from being looked at."""
    settings = service.settings.memory
    if not settings.enabled:
        raise MemoryDisabled(
            "Memory is switched off: set memory.enabled to true in server_config.yaml and start the service again."
        )
    if not asked:
        if settings.default_workspace is None:
            raise BadRequest(
                "workspace: is missing: give the project's folder, or set memory.default_workspace.", param="workspace"
            )
        asked = str(settings.default_workspace)
    elif len(asked) > MAX_WORKSPACE_CHARS or "\0" in asked:
        raise BadRequest("workspace: is no path: give the project's folder.", param="workspace")
    place = Path(asked)
    if not place.is_absolute():
        raise BadRequest(
            f"workspace: {_shown(place)} is no absolute path on the service's machine: give the whole path of the "
            "project's folder.",
            param="workspace",
        )
    if (refusal := await service.memory.refusal(place)) is not None:
        raise Forbidden(refusal, param="workspace")
    return place


async def check_found(memory: MemoryService, status: BankStatus) -> None:
    """Raise `BankNotFound`, with where it was looked for, unless the workspace has a bank."""
    if status.root is not None:
        return
    place = status.workspace
    if not await asyncio.to_thread(_is_folder, place):
        raise BankNotFound(
            f"There is no folder {_shown(place)} on the service's machine that it may read: check the path.",
            param="workspace",
        )
    raise BankNotFound(
        f"No memory bank in {_shown(place)}, the project's folders above it or the packages below: none of "
        f"{', '.join(memory.folders)} holds two core files; make memory-bank/projectbrief.md and "
        "memory-bank/activeContext.md there, or let your agent initialise its memory bank.",
        param="workspace",
    )


def _is_folder(place: Path) -> bool:
    try:
        return place.is_dir()
    except (OSError, ValueError):
        return False


def _shown(place: Path) -> str:
    return repr(str(place)[:200])
