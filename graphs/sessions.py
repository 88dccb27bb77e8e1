"""What is remembered between requests, in a LangGraph Store: which conversation a prefix belongs to, and the memory
blocks that were put into it. Keys are fingerprints; no message of the client's is kept.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import structlog
from langgraph.store.base import BaseStore, GetOp, Item, Op, PutOp, Result

from chains.conversation import digest_of_text, session_key
from graphs.known import Known, blocks_in, first_known, held_by
from graphs.session_store import SessionStore

CONVERSATIONS = ("conversations",)
BLOCKS = ("blocks",)
MAX_PREFIXES = 200
# A request goes on from the one before by an answer and some results of tools, by two kinds of fingerprints.
AS_A_RULE_WITHIN = 16
MAX_RECORDS = 20_000
# Finding the oldest passes over all that stay while the store waits, so it is done only once this share has been added.
TRIM_SHARE, TRIM_AT_LEAST = 1 / 20, 50
# A client that got no answer asks again within this: six times in a minute, or when a person presses retry.
RETRY_WITHIN_S = 600

Namespace = tuple[str, ...]
T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Writing:
    lock: threading.Lock = field(default_factory=threading.Lock)
    left_until_trim: int = 0


@dataclass(frozen=True, slots=True)
class Sessions:
    """The records over one store; None remembers nothing. A store that fails is reported and does without.

    Of each kind `max_records` are kept, the newest, and for a while up to `trimmed_after` more. What waits for the disk
    does so in `threads`; None takes the event loop's own.
    """

    store: BaseStore | None
    max_records: int = MAX_RECORDS
    threads: Executor | None = None
    _writing: _Writing = field(default_factory=_Writing, init=False, repr=False, compare=False)

    @property
    def trimmed_after(self) -> int:
        """After how many records written the oldest beyond the bound are deleted."""
        return max(TRIM_AT_LEAST, int(self.max_records * TRIM_SHARE))

    def in_thread(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Do it beside the event loop, in one of the few threads that look requests up."""
        return asyncio.get_running_loop().run_in_executor(self.threads, work)

    def find(
        self,
        chain: Sequence[str],
        *,
        loose: Sequence[str] = (),
        newest: str | None = None,
        session: str | None = None,
        place: str = "",
        touch: bool = True,
    ) -> Known:
        """The conversation whose longest known prefix these fingerprints share. Waits for the disk.

        A prefix that two conversations had in common tells neither; it tells the role where both had the same. `loose`
        are the fingerprints that know a conversation again where the client wrote its system prompt anew. With
        `session`, an id that the client sent, only that session's own records count, its last one where no prefix is
        known. `newest` is the fingerprint of a message that is not looked for. `place` is the conversation's project.
        `touch` puts off the expiry of the blocks that are read.
        """
        messages = {key: number for each in (chain, loose) for number, key in list(enumerate(each, 1))[-MAX_PREFIXES:]}
        keys = sorted(messages, key=lambda key: -messages[key])
        if session:
            keys.append(session_key(session, place=place))
        first, rest = keys[:AS_A_RULE_WITHIN], keys[AS_A_RULE_WITHIN:]
        found = self._read([(CONVERSATIONS, key) for key in ([newest, *first] if newest else first)], touch=touch)
        answered = newest in found
        if not (key := first_known(keys, found, session)):
            found = self._read([(CONVERSATIONS, key) for key in rest], touch=touch)
            key = first_known(rest, found, session)
        if not key:
            return Known(answered=answered)
        record = found[key]
        conversation = session or record.get("conversation") or None
        last = session_key(conversation, place=place) if conversation else ""
        blocks = blocks_in(record)
        also = self._read([(CONVERSATIONS, last), *((BLOCKS, block) for block in blocks.values())], touch=touch)
        return Known(
            conversation,
            held_by(record),
            messages=messages.get(key, 0) if "blocks" in record else 0,
            blocks=blocks,
            texts={block: also[block]["block"] for block in blocks.values() if block in also},
            answered=answered,
            last_request=also.get(last, {}),
        )

    async def blocks_of(self, keys: Sequence[str], *, touch: bool = True) -> dict[str, str]:
        """The memory blocks under these keys, of texts or of places."""
        found = await self._get(BLOCKS, keys, touch=touch)
        meant = {key: str(value["is"]) for key, value in found.items() if value.get("is")}
        texts = await self._get(BLOCKS, list(dict.fromkeys(meant.values())), touch=touch)
        known = {key: texts[block]["block"] for key, block in meant.items() if block in texts}
        return known | {key: str(value.get("block", "")) for key, value in found.items() if key not in meant}

    async def tried_block(self, place: str, *, touch: bool = True) -> str | None:
        """What was put into this place by an attempt just now, "" for nothing; None without such an attempt."""
        value = (await self._get(BLOCKS, [place], touch=touch)).get(place)
        if value is None or not 0 <= time.time() - value.get("at", 0) <= RETRY_WITHIN_S:
            return None
        return (await self.blocks_of([place], touch=touch)).get(place)

    async def keep_block(self, block: str, places: Sequence[str]) -> None:
        """Remember what was put beside a message, "" for nothing, under each of the places it may be looked for in.

        A text is kept once, under its own digest, and never changes: the next block of a place leaves it as it is.
        """
        digest = digest_of_text(block) if block else ""
        text = {digest: {"block": block}} if block else {}
        placed = {"is": digest, "at": time.time()}
        await self._put(BLOCKS, {**text, **dict.fromkeys(places, placed)})

    async def keep_conversation(
        self,
        fingerprints: Sequence[str],
        record: Mapping[str, Any],
        *,
        last: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Remember that these prefixes belong to `record["conversation"]`, with the route it took and its blocks.

        One that belongs to another conversation already, or to nobody, belongs to neither from then on, and keeps the
        blocks it had, if any: the conversation that was there first finds its own. `last` are records of the
        conversation's last request, by key, which each one replaces.
        """
        await self._written(partial(self._merge, fingerprints, record, last or {}), len(fingerprints) + len(last or {}))

    async def share(self, fingerprint: str) -> None:
        """Let this prefix tell nobody's conversation from now on, nor its blocks: another one begins with it."""
        await self._written(partial(self._unname, fingerprint), 1)

    def _unname(self, fingerprint: str) -> None:
        assert self.store is not None  # noqa: S101 - only called where there is one
        with self._writing.lock:
            (item,) = self.store.batch([GetOp(CONVERSATIONS, fingerprint, refresh_ttl=False)])
            if isinstance(item, Item):
                nobodys = {key: value for key, value in item.value.items() if key != "blocks"} | {"conversation": ""}
                self.store.batch(self._puts(CONVERSATIONS, {fingerprint: nobodys}))

    def _merge(
        self, fingerprints: Sequence[str], record: Mapping[str, Any], last: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """In one go, since nobody may write between what is read here and what is made of it."""
        assert self.store is not None  # noqa: S101 - only called where there is one
        with self._writing.lock:
            items = self.store.batch([GetOp(CONVERSATIONS, key, refresh_ttl=False) for key in fingerprints])
            known = {key: item.value for key, item in zip(fingerprints, items, strict=True) if isinstance(item, Item)}
            prefixes = {key: _merged(known.get(key), record) for key in fingerprints}
            self.store.batch(self._puts(CONVERSATIONS, {**prefixes, **{key: dict(last[key]) for key in last}}))

    async def _get(self, namespace: Namespace, keys: Sequence[str], *, touch: bool = True) -> dict[str, dict[str, Any]]:
        if self.store is None or not keys:
            return {}
        return await self.in_thread(partial(self._read, [(namespace, key) for key in keys], touch=touch))

    def _read(self, places: Sequence[tuple[Namespace, str]], *, touch: bool) -> dict[str, dict[str, Any]]:
        """The records that are there, by key. Waits for the disk.

        `touch` puts off the expiry of blocks, which are written once; the others are written anew by each answer.
        """
        if self.store is None or not places:
            return {}
        try:
            items = self.store.batch(
                [GetOp(namespace, key, refresh_ttl=touch and namespace == BLOCKS) for namespace, key in places]
            )
        except (
            sqlite3.Error,
            ValueError,
        ) as error:  # the store wraps what its refresh of the expiry met in a ValueError
            log.warning("session store cannot be read", error=type(error).__name__)
            return {}
        return {key: item.value for (_, key), item in zip(places, items, strict=True) if isinstance(item, Item)}

    async def _put(self, namespace: Namespace, values: Mapping[str, dict[str, Any]]) -> None:
        await self._written(lambda: self.store and self.store.batch(self._puts(namespace, values)), len(values))

    def _puts(self, namespace: Namespace, values: Mapping[str, dict[str, Any]]) -> list[PutOp]:
        """A PutOp knows nothing of the store's default expiry; without one the record would stay for ever."""
        ttl = ((self.store and self.store.ttl_config) or {}).get("default_ttl")
        return [PutOp(namespace, key, value, ttl=ttl) for key, value in values.items()]

    async def _written(self, write: Callable[[], object], records: int) -> None:
        if self.store is None:
            return
        try:
            await self.in_thread(write)
            self._writing.left_until_trim -= records
            if self._writing.left_until_trim <= 0:
                self._writing.left_until_trim = self.trimmed_after
                await self._trim()
        except (sqlite3.Error, ValueError) as error:
            log.warning("session store cannot be written", error=type(error).__name__)

    async def batch(self, ops: Sequence[Op]) -> list[Result]:
        """One hop to a thread for all of it; the store's own asynchronous form makes one for each SQL statement."""
        assert self.store is not None  # noqa: S101 - only called where there is one
        return await self.in_thread(partial(self.store.batch, ops))

    async def _trim(self) -> None:
        """Delete the oldest records beyond the bound; those of a store in memory end with their process."""
        if isinstance(self.store, SessionStore):
            for namespace in (CONVERSATIONS, BLOCKS):
                await self.in_thread(partial(self.store.keep_newest, namespace, self.max_records))


def _merged(known: Mapping[str, Any] | None, record: Mapping[str, Any]) -> dict[str, Any]:
    if known is None or known.get("conversation") == record["conversation"]:
        return dict(record)
    same_role = known.get("role") == record.get("role")
    own = {key: value for key, value in record.items() if key != "blocks"}
    first = {"blocks": known["blocks"]} if "blocks" in known else {}
    return {**own, "conversation": "", **first, **({} if same_role else {"role": ""})}
