"""The day that a passage speaks of."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from retrievers.days import newest_day


@pytest.mark.parametrize(
    ("heading", "text", "day"),
    [
        ("Progress > 2024-05-31", "Done on 2024-05-30.", "2024-05-31"),
        ("Progress", "- 2024-05-30: one\n- 2025-01-02: two", "2025-01-02"),
        ("Progress", "Nothing is dated, not even v2024-05-30 or 2024-19-99x.", "2026-02-03"),
        ("", "long ago " * 40 + "2027-01-01", "2026-02-03"),
    ],
)
def test_the_newest_day_named_at_the_beginning_counts_else_that_of_the_file(heading: str, text: str, day: str) -> None:
    assert newest_day(heading, text, datetime(2026, 2, 3, tzinfo=UTC)) == day
