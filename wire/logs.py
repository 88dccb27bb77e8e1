"""Structured logs: for people on a terminal, JSON lines otherwise. Request bodies never reach them."""

from __future__ import annotations

import logging
import sys

import structlog

from config.settings import LoggingSettings

_QUIET = (
    "httpx",
    "httpcore",
    "bm25s",
    "chromadb",
    "uvicorn.access",
    "sentence_transformers",
    "transformers",
    "faiss",
    "langchain_ollama",
    "langgraph.store.sqlite",
)


class _AlreadyTold(logging.Filter):
    """Drops uvicorn's own trace of an error that `wire.app` has logged with its path."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith("Exception in ASGI application")


def set_up_logging(settings: LoggingSettings) -> None:
    """Point structlog and the standard library's logging at standard error."""
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    on_terminal = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if on_terminal else "iso", utc=not on_terminal),
    ]
    renderer: structlog.typing.Processor = (
        # The prettier ones show local variables, which are the request; and take seconds for them.
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        if on_terminal
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    tail: list[structlog.typing.Processor] = [] if on_terminal else [structlog.processors.format_exc_info]
    structlog.configure(
        processors=[*shared, *tail, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    # The loggers' own levels do not do: bm25s sets its to debug when it is imported, with the first memory bank.
    handler.setLevel(level)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *tail, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("uvicorn.error").addFilter(_AlreadyTold())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
