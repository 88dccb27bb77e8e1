"""The day that a passage speaks of."""

from __future__ import annotations

import re
from datetime import datetime

# The word's beginning is looked back for, because a search for plain text is the quickest.
_DATE = re.compile(r"20(?<!\w20)\d\d-[01]\d-[0-3]\d\b")
_DATED_CHARS = 200


def newest_day(heading: str, text: str, modified_at: datetime) -> str:
    """The newest day that the heading or the opening of the text names, as `2024-05-31`, else that of the file."""
    named = _DATE.findall(f"{heading}\n{text[:_DATED_CHARS]}")
    return max(named) if named else modified_at.date().isoformat()
