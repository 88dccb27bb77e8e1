"""What holds of any text: lines stay, nothing is found twice, time grows with the length only."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from retrievers.redaction import redact
from tests.retrievers.secrets_support import NAMED, TOKENS, key_block

SECRETS = st.sampled_from(
    [*TOKENS, *(before + secret for before, secret, _ in NAMED), key_block(), key_block(end=False)]
)
PIECES = SECRETS | st.sampled_from(
    ["key: ", "password=", "token is ", "://a:", "@b ", "\n", " ", '"', "bearer ", "İ", "-----BEGIN "]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES | st.text(max_size=30), max_size=12).map("".join))
def test_every_line_stays_where_it_is(text: str) -> None:
    redacted, count = redact(text)
    assert redacted.count("\n") == text.count("\n")
    assert (redacted == text) == (count == 0)
    before, after = text.split("\n"), redacted.split("\n")
    for old, new in zip(before, after, strict=True):
        assert "redacted: " in new or old.endswith(new), "but for what stands behind the end of a key block"


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES | st.text(max_size=30), max_size=12), st.sampled_from([" ", "\n", ", "]))
def test_nothing_is_found_twice(pieces: list[str], between: str) -> None:
    assert redact(redact(between.join(pieces))[0])[1] == 0


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["", "İ ", "é: ", "x = 1; ", "# ", "> "]), SECRETS, st.sampled_from([" ", "\n", "\n\ntext", ""]))
def test_a_secret_is_found_wherever_it_stands(before: str, secret: str, after: str) -> None:
    redacted, count = redact(before + secret + after)
    assert count == 1
    assert secret.splitlines()[-1][-16:] not in redacted


HOSTILE = [
    "key",
    "key:",
    "key=",
    'key="',
    "password:",
    "password:'",
    "token is ",
    "://a:",
    "://aaaa:bbbb",
    "eyJ",
    "sk-",
]
HOSTILE += [
    "eyJabcdefgh.",
    "-----BEGIN PRIVATE KEY-----",
    "-",
    "--a",
    "--password ",
    " ",
    "\n",
    '"',
    "bearer ",
    "xoxb-",
]
HOSTILE += ["token:\"token:'token:`", "İ", "🔑key: ", "key" + " " * 20, "A1b2C3d4", "SG.", "hooks.slack.com/services/"]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(HOSTILE) | st.text(min_size=1, max_size=12), st.sampled_from(HOSTILE) | st.text(max_size=4))
def test_odd_long_texts_take_no_more_than_linear_time(one: str, other: str) -> None:
    text = (one + other) * (100_000 // len(one + other))
    began = time.process_time()
    redact(text)
    # Twenty times what the slowest of these takes on a small machine; a quadratic one takes minutes.
    assert time.process_time() - began < 10
