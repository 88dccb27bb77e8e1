"""Tokens that show by how they begin, as their makers document them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from retrievers.secret_values import is_unspoken

MIN_DIFFERENT_CHARS = 6


@dataclass(frozen=True, slots=True)
class KnownToken:
    """Where in a text a token stands, and what it is."""

    start: int
    stop: int
    label: str


# What a kind is called, how it begins, and how it goes on from there. The look back for the middle of a word stands
# behind the first characters, because a search for plain text is the quickest.
_KINDS = tuple(
    (label, start, re.compile(f"{re.escape(start)}(?<![A-Za-z0-9]{re.escape(start)}){rest}"))
    for label, start, rest in (
        ("AWS access key", "AKIA", r"[A-Z0-9]{16}(?![A-Za-z0-9])"),
        ("AWS access key", "ASIA", r"[A-Z0-9]{16}(?![A-Za-z0-9])"),
        ("GitHub token", "ghp_", r"[A-Za-z0-9]{30,255}"),
        ("GitHub token", "gho_", r"[A-Za-z0-9]{30,255}"),
        ("GitHub token", "ghu_", r"[A-Za-z0-9]{30,255}"),
        ("GitHub token", "ghs_", r"[A-Za-z0-9]{30,255}"),
        ("GitHub token", "ghr_", r"[A-Za-z0-9]{30,255}"),
        ("GitHub token", "github_pat_", r"\w{22,255}"),
        ("GitLab token", "glpat-", r"[\w-]{20,255}(?:\.[\w-]{2,64}){0,2}"),
        ("GitLab token", "gldt-", r"[\w-]{20,255}(?:\.[\w-]{2,64}){0,2}"),
        ("GitLab token", "glrt-", r"[\w-]{20,255}(?:\.[\w-]{2,64}){0,2}"),
        ("Slack token", "xox", r"[abeoprs]-[A-Za-z0-9-]{10,255}"),
        ("Slack token", "xapp-", r"[A-Za-z0-9-]{20,255}"),
        ("Slack webhook", "hooks.slack.com/", r"(?:services|workflows)/[A-Za-z0-9_/-]{20,255}"),
        ("Google API key", "AIza", r"[\w-]{35}(?![\w-])"),
        ("Google client secret", "GOCSPX-", r"[\w-]{20,64}"),
        ("Google access token", "ya29.", r"[\w.-]{20,2048}"),
        ("Stripe key", "sk_live_", r"[A-Za-z0-9]{16,255}"),
        ("Stripe key", "sk_test_", r"[A-Za-z0-9]{16,255}"),
        ("Stripe key", "rk_live_", r"[A-Za-z0-9]{16,255}"),
        ("Stripe secret", "whsec_", r"[A-Za-z0-9+/]{20,255}"),
        ("API key", "sk-", r"[\w-]{16,512}"),
        ("API key", "xai-", r"[A-Za-z0-9]{32,255}"),
        ("API key", "gsk_", r"[A-Za-z0-9]{32,255}"),
        ("API key", "pplx-", r"[A-Za-z0-9]{32,255}"),
        ("npm token", "npm_", r"[A-Za-z0-9]{36}(?![A-Za-z0-9])"),
        ("PyPI token", "pypi-AgE", r"[\w-]{50,2048}"),
        ("Hugging Face token", "hf_", r"[A-Za-z0-9]{30,64}(?![A-Za-z0-9])"),
        ("SendGrid key", "SG.", r"[\w-]{16,32}\.[\w-]{16,64}"),
        ("DigitalOcean token", "dop_v1_", r"[a-f0-9]{64}"),
        ("Shopify token", "shpat_", r"[a-fA-F0-9]{32}"),
        ("Vault token", "hvs.", r"[\w-]{24,255}"),
        ("Databricks token", "dapi", r"[a-f0-9]{32}(?![A-Za-z0-9])"),
        ("age key", "AGE-SECRET-KEY-1", r"[A-Z0-9]{58}"),
        ("JSON web token", "eyJ", r"[A-Za-z0-9_-]{8,2048}+\.eyJ[A-Za-z0-9_-]{8,16384}+(?:\.[A-Za-z0-9_-]{0,2048})?"),
    )
)
# Of these, what follows may just as well be words.
_OF_ANY_SHAPE = frozenset({"sk-", "glpat-", "gldt-", "glrt-", "xapp-", "ya29.", "GOCSPX-"})


def known_tokens(text: str) -> Iterator[KnownToken]:
    """All of them; not those that are made of one or two characters to show the shape only."""
    for label, start, pattern in _KINDS:
        if start not in text:
            continue
        for found in pattern.finditer(text):
            rest = found[0][len(start) :]
            if len(set(rest)) < MIN_DIFFERENT_CHARS:
                continue
            if start in _OF_ANY_SHAPE and not is_unspoken(rest):
                continue
            yield KnownToken(found.start(), found.end(), label)
