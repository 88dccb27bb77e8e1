"""What each core file of a memory bank is for, so that "what are we working on?" leans towards the right one."""

from __future__ import annotations

import hashlib
from functools import cache, lru_cache
from pathlib import PurePosixPath

from retrievers.layouts import normalised

_BRIEF = "The project brief: what the project is, its goals, its scope and its core requirements."
_PRODUCT = "The product: why the project exists, which problems it solves, for whom, and how it should work for them."
_PATTERNS = "The system's architecture: its components and how they relate, design patterns, key technical decisions."
_TECH = "The technology: languages, frameworks and versions, development setup, dependencies, constraints, tools."
_ACTIVE = "The present work: current focus, recent changes, what was just done or fixed, next steps, open decisions."
_PROGRESS = "The progress: what works, what is done, what is left to build, current status, known issues, milestones."
_DECISIONS = "The log of decisions: what was decided, when and why."
_TASKS = "The tasks: open and finished ones, and how recurring work is done."

_OF_FILE = {
    "projectbrief": _BRIEF,
    "brief": _BRIEF,
    "productcontext": _PRODUCT,
    "product": _PRODUCT,
    "systempatterns": _PATTERNS,
    "architecture": _PATTERNS,
    "techcontext": _TECH,
    "tech": _TECH,
    "activecontext": _ACTIVE,
    "context": _ACTIVE,
    "progress": _PROGRESS,
    "decisionlog": _DECISIONS,
    "tasks": _TASKS,
}


@lru_cache(maxsize=4096)
def role_of(file: str) -> str | None:
    """One sentence on what a core file of that name is for, in whatever folder of the bank it lies; None for any other
    name.
    """
    return _OF_FILE.get(normalised(PurePosixPath(file).stem))


@cache
def role_id(role: str) -> str:
    """The id under which a role's vector is kept; no passage has such a one."""
    return f"role-{hashlib.sha256(role.encode()).hexdigest()[:16]}"


ROLES = {role_id(role): role for role in dict.fromkeys(_OF_FILE.values())}
"""All roles by id."""
