"""The terms of a text, for ranking by words: the same rules for every language, with no dictionary.

A word gives itself, the parts of its camelCase, and its first letters, so that `indexing` meets `index` and `Häuser`
meets `Häusern`. Scripts that put no spaces between words give pairs of neighbouring characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

PREFIX_CHARS = 5
PREFIX_MARK = "~"
WORDS_KEPT = 65_536
LONGEST_WORD_CHARS = 64

_WORD = re.compile(r"[^\W_]+")
# `main.py`, `src/proxy.ts`, `MAX_FILE_SIZE`, `2.0.1`: a name besides its words.
# It begins where a word does: else a long word that no name follows would be read anew from each of its characters.
_NAME = re.compile(r"(?<![^\W_])[^\W_]++(?:[._/][^\W_]+)+")
_CAMEL = re.compile(r"(?<=[^\W\dA-Z_])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
# Hiragana, katakana, Han, Hangul, Thai, Lao, Khmer, Myanmar.
_UNSPACED = re.compile(
    r"([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    r"\U00020000-\U0003134f]+)"
)


def terms(text: str) -> list[str]:
    """Each word's terms in the order of the text, then the names of code; equal words give equal terms."""
    plain = unicodedata.normalize("NFKC", text)
    words = [term for word in _WORD.findall(plain) for term in _terms_of(word)]
    return words + [_folded(name) for name in _NAME.findall(plain) if len(name) <= LONGEST_WORD_CHARS]


def folded(text: str) -> str:
    """The text with its words folded as `terms` folds them: each of its terms, without `PREFIX_MARK`, stands in it."""
    return text.lower() if text.isascii() else _folded_runs(text)


def _folded_runs(text: str) -> str:
    runs = _UNSPACED.split(unicodedata.normalize("NFKC", text))
    return "".join(run if _UNSPACED.match(run) else _folded(run) for run in runs)


@lru_cache(maxsize=WORDS_KEPT)
def _terms_of(word: str) -> tuple[str, ...]:
    return tuple(_analysed(word[:LONGEST_WORD_CHARS]))


def _analysed(word: str) -> Iterator[str]:
    for run in _UNSPACED.split(word):
        if not run:
            continue
        if _UNSPACED.match(run):
            yield from (run[at : at + 2] for at in range(max(1, len(run) - 1)))
            continue
        parts = _CAMEL.split(run)
        if len(parts) > 1:
            yield _folded(run)
        for part in parts:
            plain = _folded(part)
            yield plain
            if len(plain) >= PREFIX_CHARS and plain.isalpha():
                yield plain[:PREFIX_CHARS] + PREFIX_MARK


def _folded(word: str) -> str:
    """Without case and accents, which people leave out when they ask."""
    plain = word.casefold()
    return plain if plain.isascii() else _BEYOND_ASCII.sub(_without_accents, plain)


def _without_accents(run: re.Match[str]) -> str:
    return "".join(char for char in unicodedata.normalize("NFKD", run[0]) if not unicodedata.combining(char))
