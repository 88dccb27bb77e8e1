from __future__ import annotations

import logging

import pytest

from config.settings import LoggingSettings
from wire.logs import set_up_logging


def test_a_library_that_turns_its_own_log_on_is_not_heard(capsys: pytest.CaptureFixture[str]) -> None:
    """bm25s sets its logger to debug when it is imported, which is with the first memory bank."""
    set_up_logging(LoggingSettings(level="info"))
    late = logging.getLogger("a library imported late")
    late.setLevel(logging.DEBUG)
    late.debug("Building index from IDs objects")
    late.warning("a warning is heard")
    assert [line for line in capsys.readouterr().err.splitlines() if "Building" in line] == []
    late.warning("again")
    assert "again" in capsys.readouterr().err
