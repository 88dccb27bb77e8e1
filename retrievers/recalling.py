"""What of an opened bank a question gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from config.errors import MemoryUnavailable
from retrievers.asked import asks_for_bank
from retrievers.evidence import trust_in
from retrievers.open_banks import OpenedBank
from retrievers.packing import DOUBTFUL_TOKENS, pack, tokens_worth
from retrievers.ranking import KEPT, Ranking, considered, rank
from retrievers.selection import fill, whole_bank
from retrievers.types import Embedder, Retrieval, TokenCounter, Vectors

QUERY_CHARS = 2_000


class Recaller:
    """Chooses between the whole bank, its ranked passages and its core files. Arguments as in `MemoryService`."""

    def __init__(
        self,
        *,
        embedder: Embedder | None,
        count_tokens: TokenCounter,
        candidates: int,
        prefer_whole: bool,
        whole_bank_tokens: int,
        ranked_tokens: int,
    ) -> None:
        self._embedder = embedder
        self._count_tokens = count_tokens
        self._candidates = candidates
        self._prefer_whole = prefer_whole
        self._whole_bank_tokens = whole_bank_tokens
        self._ranked_tokens = ranked_tokens

    def recall(
        self,
        bank: OpenedBank,
        query: str,
        budget_tokens: int,
        *,
        query_vector: Sequence[float] | None = None,
        prefer_whole: bool | None = None,
    ) -> Retrieval:
        """The whole bank, its passages by rank, or its core files first. Blocks, and may embed the query."""
        if not bank.corpus.content_ids:
            return Retrieval(note="The memory bank is empty.")
        asked = asks_for_bank(query)
        limit = min(budget_tokens, self._whole_bank_tokens)
        wants_whole = asked or (self._prefer_whole if prefer_whole is None else prefer_whole)
        if wants_whole and (whole := whole_bank(bank.corpus, limit, self._count_tokens)) is not None:
            return Retrieval(whole, whole=True)
        if asked:
            return self._in_reading_order(bank, budget_tokens, f"The memory bank takes more than {limit} tokens.")
        if not query.strip():
            return self._in_reading_order(bank, budget_tokens, "There is no question to rank by.")
        ranking, note, used_vectors = self._ranked(bank, query, query_vector, KEPT)
        if not ranking.candidates:
            return self._in_reading_order(bank, min(budget_tokens, DOUBTFUL_TOKENS), note or "No word of it was found.")
        budget = min(budget_tokens, tokens_worth(ranking, self._ranked_tokens))
        return Retrieval(pack(ranking, budget, self._count_tokens), used_vectors=used_vectors, note=note)

    def search(self, bank: OpenedBank, query: str, k: int, budget_tokens: int) -> Retrieval:
        """The `k` best passages that fit, each as a whole, best first, whatever the evidence."""
        ranking, note, used_vectors = self._ranked(bank, query, None, k)
        found = (replace(candidate.passage, score=candidate.similarity) for candidate in ranking.candidates)
        best = fill(found, budget_tokens, self._count_tokens)
        return Retrieval(best[:k], used_vectors=used_vectors, note=note)

    def _ranked(
        self, bank: OpenedBank, query: str, query_vector: Sequence[float] | None, wanted: int
    ) -> tuple[Ranking, str | None, bool]:
        """The ranking, one sentence on what was not possible, and whether vectors took part."""
        # Half a surrogate pair is no text, and tokenizers refuse it.
        query = query[:QUERY_CHARS].encode("utf-8", "replace").decode("utf-8")
        corpus, words = bank.corpus, bank.words.ask(query)
        reason = self._why_no_vectors(bank)
        if reason is None and bank.index is not None and self._embedder is not None:
            try:
                vector = self._vector(query, query_vector)
                fresh, gone = bank.index.difference(corpus)
                nearest = dict(bank.index.search(vector, max(self._candidates, wanted) + gone))
                places = considered(corpus, words, nearest, wanted)
                found = bank.index.evidence(vector, nearest, places)
                found = replace(found, trust=trust_in(self._embedder.name, query))
                ranking = rank(corpus, words, places, found, bank.cut, wanted=wanted)
            except MemoryUnavailable as exc:
                reason = exc.message
            else:
                note = f"{fresh} changed passages are ranked by words only as yet." if fresh else None
                return ranking, note, True
        ranking = rank(corpus, words, considered(corpus, words, {}, wanted), None, bank.cut, wanted=wanted)
        return ranking, f"{reason} Ranked by words only.", False

    def _why_no_vectors(self, bank: OpenedBank) -> str | None:
        """One sentence, or None if vectors can take part."""
        if bank.index is None or self._embedder is None:
            return "Vectors are switched off."
        status = self._embedder.status()
        if status.state == "failed":
            return status.detail or "The embedder failed to load."
        if not self._embedder.is_ready:
            return "The embedder is still loading."
        fresh, _ = bank.index.difference(bank.corpus)
        if fresh * 2 > len(bank.corpus.content_ids):
            return bank.index.problem or "The memory bank is still being indexed."
        return None

    def _vector(self, query: str, query_vector: Sequence[float] | None) -> Vectors:
        if query_vector is None and self._embedder is not None:
            query_vector = self._embedder.embed_query(query)
        return np.asarray(query_vector, dtype=np.float32)

    def _in_reading_order(self, bank: OpenedBank, budget_tokens: int, reason: str) -> Retrieval:
        passages = fill(bank.corpus.chunks, budget_tokens, self._count_tokens)
        return Retrieval(passages, note=f"{reason} The core files come first, as far as they fit.")
