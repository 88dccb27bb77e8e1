"""The file paths that a text mentions. Would rather miss one than take something else for one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from retrievers.tree_diagrams import branch_of, drawn_paths

MAX_MENTIONS = 1_000
MAX_LINE_CHARS = 2_000
MAX_PATH_CHARS = 200

_EXTENSION = re.compile(
    r"adoc|astro|bash|bat|bicep|c|cc|cfg|cjs|clj|cmake|cmd|conf|cpp|cs|csproj|css|csv|cts|cu|cxx|dart|db|"
    r"editorconfig|ejs|erl|ex|exs|fish|fs|go|gradle|graphql|groovy|h|hbs|hcl|hpp|hs|html|ini|ipynb|java|jinja|"
    r"jl|js|json|json5|jsonc|jsonl|jsx|kt|kts|less|lock|lua|m|md|mdc|mdx|mjs|mk|ml|mm|mts|nim|nix|php|pl|"
    r"plist|po|prisma|properties|proto|ps1|pug|py|pyi|pyx|r|rb|rs|rst|sass|sbt|scala|scss|sh|sln|sol|sql|"
    r"sqlite|styl|svelte|svg|swift|tex|tf|tfvars|toml|ts|tsx|txt|vb|vue|xml|yaml|yml|zig|zsh"
)
# What is made by a build or an installation is there or not, and says nothing of the text that mentions it.
_MADE = frozenset(
    {"node_modules", "dist", "build", "target", "out", "coverage", "__pycache__", "venv", ".venv", ".next", ".git"}
)
_LIBRARY = re.compile(
    r"(?:node|next|vue|nuxt|nest|express|react|angular|three|d3|chart|ember|alpine)\.js", re.IGNORECASE
)
_HOST = re.compile(r"(?:[\w-]+\.)+(?:com|org|net|io|dev|ai|app|co|edu|gov|in|me)|localhost", re.IGNORECASE)
_PATH = re.compile(r"(?:\./)?/?[\w.@+-]+(?:/[\w.@+-]+)*/?")
_PLACEHOLDER = re.compile(r"\.\.\.|path/to/|YYYY|XXX|NNN|(?:^|/)(?:your|my|some)[-_]")

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://\S*")
_LINK = re.compile(r"\]\(<?([^()<>\s]{1,300})")
_CODE = re.compile(r"`([^`]{1,300})`")
_BETWEEN = re.compile(r"[\s,;|\"'=]+")
_FENCE = re.compile(r"\s*(?:```|~~~)")
_COMMENT = frozenset({"#", "//", "-", "--", "–", "—", "<-", "←", "->", "→"})
# A line that tells of a change, or of work to do, rightly names what is not there.
_GONE_OR_TO_COME = re.compile(
    r"(?<![\w/.-])(?:removed?|removal|removing|deleted?|deleting|deletion|renamed?|renaming|moved?|moving|replaced?|"
    r"dropped|obsolete|deprecated?|former|formerly|migrated?|migration|planned|todo|create|add|introduce|generate|"
    r"no longer|to be|will be)(?![\w/-]|\.\w)|~~|^\s*[-*+] \[ \]",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Mention:
    """A path as the text has it: posix, `/` at the end for a folder, `/` in front where it starts from a root.

    `line` counts from 1. `below_root` is the path without the root of the tree diagram that it stands in: that root
    may be the project's own folder. `linked` says that `..` counts from the text's own folder.
    """

    path: str
    line: int
    below_root: str | None = None
    linked: bool = False


def mentioned_paths(text: str) -> tuple[Mention, ...]:
    """The paths in links, code spans, tree diagrams and plain words, each once, where it stands first.

    Links and tree diagrams may name any file or folder. Elsewhere it takes a slash and a known extension, or, as the
    whole of a code span, a slash at the end. In code fences only tree diagrams and lines that are a path count.
    No URLs, hosts, packages (`@scope/name`), globs, placeholders, build results; nothing in lines that tell of
    removals or plans. Lines are read up to 2,000 characters, and at most 1,000 paths given. Pure; linear in time.
    """
    lines = [line[:MAX_LINE_CHARS] for line in text.split("\n")]
    found: dict[str, Mention] = {}
    for mention in _mentions(lines):
        found.setdefault(mention.path, mention)
        if len(found) >= MAX_MENTIONS:
            break
    return tuple(sorted(found.values(), key=lambda mention: mention.line))


def _mentions(lines: list[str]) -> Iterator[Mention]:
    for drawn in drawn_paths(lines, _has_known_extension):
        if not _GONE_OR_TO_COME.search(lines[drawn.line]) and _is_path(drawn.path, least_parts=1):
            whole = f"{drawn.root}{drawn.path}"
            rooted = bool(drawn.root) and _is_path(whole)
            yield Mention(whole if rooted else drawn.path, drawn.line + 1, drawn.path if rooted else None)
    fenced = False
    for number, line in enumerate(lines, 1):
        if _FENCE.match(line):
            fenced = not fenced
        elif _GONE_OR_TO_COME.search(line) or branch_of(line) is not None:
            continue
        elif fenced:
            if path := _alone(line):
                yield Mention(path, number)
        else:
            yield from _in_prose(line, number)


def _in_prose(line: str, number: int) -> Iterator[Mention]:
    for target in _LINK.findall(line):
        path = unquote(re.split(r"[#?]", target.removeprefix("mdc:"), maxsplit=1)[0])
        if _is_path(path.replace("../", ""), least_parts=1):
            yield Mention(path, number, linked=True)
    line = _URL.sub(" ", _LINK.sub("] ", line))
    for code in _CODE.findall(line):
        words = code.split()
        folder = words[0].removeprefix("./") if len(words) == 1 and code.endswith("/") else ""
        paths = [folder] if folder and not folder.startswith("/") and _is_path(folder, least_parts=1) else _words(code)
        for path in paths:
            yield Mention(path, number)
    for path in _words(_CODE.sub(" ", line)):
        yield Mention(path, number)


def _words(text: str) -> Iterator[str]:
    for word in _BETWEEN.split(text):
        if "/" in word and (path := _bare(word)) and not path.endswith("/") and _is_path(path):
            yield path


def _bare(word: str) -> str:
    """Without what surrounds a path in prose, and without a line's number or a test's name behind it."""
    word = word.rstrip(".:!?") if "..." not in word else ""
    for mark in ("**", "*", "__", "_"):
        if word.startswith(mark) and word.endswith(mark):
            word = word.strip(mark)
    return re.split(r"[:#?]", word.strip("()<>[]"), maxsplit=1)[0].removeprefix("./")


def _alone(line: str) -> str | None:
    words = line.split(maxsplit=2)
    if not words or (len(words) > 1 and words[1] not in _COMMENT):
        return None
    return next(_words(words[0]), None)


def _is_path(path: str, *, least_parts: int = 2) -> bool:
    if len(path) > MAX_PATH_CHARS or _PATH.fullmatch(path) is None or _PLACEHOLDER.search(path):
        return False
    parts = path.strip("/").split("/")
    if len(parts) < least_parts or ".." in parts or parts[0].startswith("@") or not _MADE.isdisjoint(parts):
        return False
    if _HOST.fullmatch(parts[0]) or any(_has_known_extension(part) for part in parts[:-1]):
        return False
    if path.endswith("/"):
        return any(char.isalpha() for char in path) and not _has_known_extension(parts[-1])
    return _has_known_extension(parts[-1]) and _LIBRARY.fullmatch(parts[-1]) is None


def _has_known_extension(name: str) -> bool:
    stem, dot, extension = name.rpartition(".")
    return bool(stem and dot) and _EXTENSION.fullmatch(extension) is not None
