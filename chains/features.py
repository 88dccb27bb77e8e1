"""What the classifier sees of a request: the one definition, to train it and to ask it. Linear in the text's length.

A person's words count as words. What is pasted (fenced code, traces, logs) and what is named (files, identifiers) is
kept apart, so that `plan.ts` or a log line that says "update" does not read as somebody's wish.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from chains.concepts import CONCEPTS, concepts_of, is_unspaced
from config.schema import ROLES, Role

VERSION = 1
Block = Literal["words", "letters", "names", "pasted", "before"]
BLOCKS: tuple[Block, ...] = ("words", "letters", "names", "pasted", "before")
SHAPE = (
    "length", "lines", "a question", "ends as a question", "several questions", "fenced code", "stack trace",
    "pasted lines", "many pasted lines", "a file", "an identifier", "an error's name", "very short", "short", "long",
)  # fmt: skip
FOLLOWS = tuple(f"{when}{role}" for when in ("after ", "very short, after ", "short, after ") for role in ROLES)
DENSE = (*SHAPE, *CONCEPTS, *FOLLOWS)

HEAD_CHARS, TAIL_CHARS = 1_400, 600
MAX_PREVIOUS_CHARS = 300
_MAX_LETTERS_CHARS = 1_000
_MAX_PASTED_WORDS = 60
_MAX_NAME_CHARS = 120
_MAX_CACHED_CHARS = 16  # a longer word has up to 150 runs, and seldom comes again
_VERY_SHORT_WORDS, _SHORT_WORDS, _LONG_WORDS = 3, 8, 40
_MANY_LINES = 3

_FENCE = "```"
_CODE = re.compile(r"`([^`\n]{1,80})`")
_PASTED_LINE = re.compile(
    r"""\s{0,40}(?:
      at\s\S+.*[:(]\d | File\s".*",\sline\s\d | Traceback\b | Caused\sby: | \w{0,60}(?:Error|Exception|Warning)\b.*:
    | (?:error|warning|fatal|FAIL|FAILED|panic|ERROR|WARN|INFO|DEBUG|npm\sERR!)\b[\s:\[(] | E\s{2}
    | \d{4}-\d\d-\d\d[T\s]\d\d: | \[?\d\d:\d\d:\d\d | [-+]{1,3}\s?\S.*[;{}()=] | @@\s | [$>]\s | \d+\s*\|\s
    | [{}\[\]()<>] | ["']\w+["']\s*: | [\w.-]{1,60}\s?[:=]\s?\S+\s*$ | .*[;{]\s*$ )""",
    re.VERBOSE,
)
_TRACE = re.compile(r'^\s{0,40}(?:at \S+.{0,200}[:(]\d|File ".{0,200}", line \d|Traceback\b|Caused by:)', re.MULTILINE)
_ERROR_NAME = re.compile(r"[a-z](?:Error|Exception)\b|\b(?:error|exception|panic)\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+|[?？!！]")
_FILE = re.compile(r"[\w./\\@~:-]*\.[A-Za-z][A-Za-z0-9]{0,6}(?::\d+)*")
_NAME = re.compile(r"\w+\(\)|(?=\w*(?:[a-z0-9][A-Z]|_))\w+(?:\(\))?|(?=[\w.@~-]*/)[\w./@~-]+")
_NAME_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_AROUND_NAME = ".,;:!?()[]{}\"'*`…„“”’»«"
_BANK_FILES = {"progress", "activecontext", "techcontext", "systempatterns", "productcontext", "projectbrief"}
_MASKED_FILE, _MASKED_NAME, _MASKED_CODE = "<file>", "<name>", "<code>"
_GLUE = "\x00"
_SMALLEST_LETTERS, _LARGEST_LETTERS = 2, 5


@dataclass(frozen=True, slots=True)
class Previous:
    """The turn before: which role answered, and what the person had asked or the agent had offered."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Features:
    """A request as terms by block, repeats included, and as the numbers named by `DENSE`."""

    terms: dict[Block, list[str]]
    dense: tuple[float, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to judge by."""
        return not (self.terms["letters"] or self.terms["pasted"] or self.terms["names"])


def ends_of(text: str) -> str:
    """What is read of a person's words: they say what they want at their beginning or, below what was pasted, at their
    end.
    """
    return text if len(text) <= HEAD_CHARS + TAIL_CHARS else f"{text[:HEAD_CHARS]}\n{text[-TAIL_CHARS:]}"


def features_of(text: str, previous: Previous | None = None) -> Features:
    """The features of a person's words, free of a client's wrappers."""
    text = ends_of(text)
    prose, pasted = _apart(text.replace(_GLUE, " "))
    words, names = _words(prose)
    # Only a short request leans on the one before, and what the agent offered stands at its end.
    leans = len(words) <= _SHORT_WORDS
    before = _words(previous.text[-MAX_PREVIOUS_CHARS:])[0] if previous and leans else []
    terms: dict[Block, list[str]] = {
        "words": _phrases(words, 3),
        "letters": _letters(words),
        "names": names,
        "pasted": _WORD.findall(" ".join(pasted).lower())[:_MAX_PASTED_WORDS],
        "before": _phrases(before, 2),
    }
    counts = concepts_of(words)
    dense = (*_shape(text, pasted, words), *(min(count, 2) / 2 for count in counts), *_follows(len(words), previous))
    return Features(terms, dense)


def _apart(text: str) -> tuple[str, list[str]]:
    """The person's prose, and the lines they pasted; all of it is prose where nothing else would be."""
    prose: list[str] = []
    pasted: list[str] = []
    for number, piece in enumerate(text.split(_FENCE)):
        lines = piece.split("\n")
        if number % 2:
            pasted += [line for line in lines if line.strip()]
            prose.append(_MASKED_CODE)
            continue
        for line in lines:
            (pasted if len(lines) > 1 and _PASTED_LINE.match(line) else prose).append(line)
    if any(_WORD.search(line) for line in prose if line != _MASKED_CODE):
        return "\n".join(prose), pasted
    return text.replace(_FENCE, " "), pasted


def _words(prose: str) -> tuple[list[str], list[str]]:
    """Lower-case words in order, with a mark for each name of a file or identifier; and the words of those names."""
    words: list[str] = []
    names: list[str] = []
    for chunk in _CODE.sub(lambda found: f" {found[1].replace(' ', _GLUE)} ", prose).split():
        if chunk.isalpha() and chunk.islower():
            words.append(chunk)
            continue
        core = chunk.strip(_AROUND_NAME)
        mark, parts = _named(core) if len(core) <= _MAX_NAME_CHARS else (None, [])
        if mark is None:
            words += parts or _WORD.findall(chunk.lower())
            continue
        words.append(mark)
        names += parts
        if chunk.endswith("?"):
            words.append("?")
    return words, names


def _named(core: str) -> tuple[str | None, list[str]]:
    """Which mark stands for a name, and its words; the memory bank's own names and commands are words."""
    lower = core.lower()
    bank_file = lower.rsplit("/", 1)[-1].removesuffix(".md")
    if bank_file in _BANK_FILES:
        return None, [bank_file]
    if _GLUE in core:
        words = _WORD.findall(lower)
        return (None, words) if {"memory", "bank"} <= set(words) else (_MASKED_CODE, words)
    if _FILE.fullmatch(core):
        return _MASKED_FILE, _WORD.findall(lower)
    if _NAME.fullmatch(core):
        return _MASKED_NAME, [part.lower() for part in _NAME_PARTS.findall(core)]
    return None, []


def _phrases(words: Sequence[str], longest: int) -> list[str]:
    phrases = list(words)
    for length in range(2, longest + 1):
        phrases += [" ".join(words[start : start + length]) for start in range(len(words) - length + 1)]
    return phrases


def _letters(words: Sequence[str]) -> list[str]:
    """Runs of letters within words, whose ends count as letters; scripts without spaces also give single letters."""
    runs: list[str] = []
    left = _MAX_LETTERS_CHARS
    for word in words:
        left -= len(word)
        if left < 0:
            break
        if word[0] != "<":
            runs += _letters_of_word(word) if len(word) <= _MAX_CACHED_CHARS else _letters_of_word.__wrapped__(word)
    return runs


@lru_cache(maxsize=1024)
def _letters_of_word(word: str) -> tuple[str, ...]:
    runs = list(word) if is_unspaced(word) else []
    padded = f" {word} "
    for length in range(_SMALLEST_LETTERS, min(_LARGEST_LETTERS, len(padded)) + 1):
        runs += [padded[start : start + length] for start in range(len(padded) - length + 1)]
    return tuple(runs)


def _shape(text: str, pasted: Sequence[str], words: Sequence[str]) -> tuple[float, ...]:
    questions = words.count("?") + words.count("？")
    return (
        min(len(text), 2_000) / 1_000,
        float(text.count("\n") > 1),
        float(questions > 0),
        float(text.rstrip().endswith(("?", "？"))),
        float(questions > 1),
        float(_FENCE in text),
        float(_TRACE.search(text) is not None),
        float(bool(pasted)),
        float(len(pasted) > _MANY_LINES),
        float(_MASKED_FILE in words),
        float(_MASKED_NAME in words),
        float(_ERROR_NAME.search(text) is not None),
        float(len(words) <= _VERY_SHORT_WORDS),
        float(len(words) <= _SHORT_WORDS),
        float(len(words) > _LONG_WORDS),
    )


def _follows(words: int, previous: Previous | None) -> tuple[float, ...]:
    asked = [float(previous is not None and previous.role == role) for role in ROLES]
    very_short, short = words <= _VERY_SHORT_WORDS, words <= _SHORT_WORDS
    return (*asked, *(value * very_short for value in asked), *(value * short for value in asked))
