from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from config.schema import LoggingSettings
from wire.logs import set_up_logging


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


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
