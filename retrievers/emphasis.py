"""How much a term of a question tells of its subject: "which", "warum" and "ですか" tell nothing of it."""

from __future__ import annotations

import re
from functools import cache

from retrievers.terms import terms

OF_FUNCTION_WORDS = 0.2

# What people ask with and the lists, which are made for other texts, leave out.
_ASKING = (
    "already get got let may must need still us whose yet darf gibt wann warum wer wieviel combien comment pourquoi "
    "quand quel quoi cuanta cuantas cuales cuanto cuantos onde каким какие каком какую нужно почему сколько 誰"
)
# Hiragana write endings and particles; what a Japanese question is about stands in kanji, katakana or Latin letters.
_HIRAGANA = re.compile("[\u3041-\u3096]")


def emphasis(term: str) -> float:
    """1, or `OF_FUNCTION_WORDS` for a function word of one of 16 languages, and for a pair with hiragana in it."""
    return OF_FUNCTION_WORDS if term in _function_words() or _HIRAGANA.search(term) else 1.0


@cache
def _function_words() -> frozenset[str]:
    from bm25s import stopwords  # noqa: PLC0415 - brings scipy along: half a second and 20 MB

    lists = [getattr(stopwords, name) for name in dir(stopwords) if name.startswith("STOPWORDS_")]
    return frozenset(term for words in (*lists, _ASKING.split()) for word in words for term in terms(word))
