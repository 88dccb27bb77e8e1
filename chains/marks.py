"""`@fast`, `@code`, `@deep`: how a person names a role within a message, and how the name is taken out again."""

from __future__ import annotations

import re

from config.schema import Role

MARKS: dict[str, Role] = {"fast": "memory_fast", "code": "implementation", "deep": "memory_analysis"}
# A word of its own, in small letters: an address, a path, `@Code` of an annotation and `@fast.cache` are none.
_MARK = re.compile(r"(?<!\S)@(fast|code|deep)(?=[\s,:;!?]|\.(?!\S)|\Z)[,:;]?")
_FENCE = re.compile(r"^[ \t]{0,8}(?:```|~~~)", re.MULTILINE)
_QUOTED = re.compile(r"`[^`\n]{1,2000}`")
_DECORATES = re.compile(r"[ \t]*\n[ \t]*(?:@|(?:async|def|class|export|public|private|function|static)\b)")


def find_mark(words: str) -> Role | None:
    """The role that a person's words name, None for none; of several the first counts."""
    found = _marks(words)
    return MARKS[found[0].group(1)] if found else None


def without_marks(words: str) -> str:
    """The words without the marks and the blanks beside them; the same text where there is none."""
    found = _marks(words)
    if not found:
        return words
    kept: list[str] = []
    end = 0
    for mark in found:
        kept.append(words[end : mark.start()])
        end = mark.end()
        # One of the two blanks around it stays; none at the start of a line.
        if (not kept[-1] or kept[-1][-1].isspace()) and words[end : end + 1] in {" ", "\t"}:
            end += 1
    return "".join([*kept, words[end:]]).strip()


def _marks(words: str) -> list[re.Match[str]]:
    if "@" not in words:
        return []
    code = sorted(_code_spans(words), reverse=True)
    code_until = 0
    found: list[re.Match[str]] = []
    for mark in _MARK.finditer(words):
        while code and code[-1][0] <= mark.start():
            code_until = max(code_until, code.pop()[1])
        if mark.start() >= code_until and not _DECORATES.match(words, mark.end()):
            found.append(mark)
    return found


def _code_spans(words: str) -> list[tuple[int, int]]:
    """Where code stands: between fences, to the end behind an open one, and between backticks."""
    fences = [fence.start() for fence in _FENCE.finditer(words)]
    spans = list(zip(fences[::2], [*fences[1::2], len(words)], strict=False))
    return spans + [quoted.span() for quoted in _QUOTED.finditer(words)]
