"""Logs for people and for journald: one line each, on stderr, without secrets and guests' names."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import IO, Any

import structlog

_HIDDEN = "[hidden]"
_SECRET_KEYS = frozenset(
    {
        "api_key",
        "authorization",
        "card_number",
        "code",
        "cookie",
        "credential",
        "display_name",
        "full_name",
        "password",
        "replaces_card_number",
        "secret",
        "set_cookie",
        "token",
    }
)
"""Keys whose values never reach a log. `code` is a door's PIN."""
_SECRET_TEXT = re.compile(r"(?i)(bearer\s+|\bonce=|\bapi[_-]key[=:]\s*)[^\s\"'&,;]+|\bseam_[A-Za-z0-9_]{8,}")
_QUIET = ("httpx", "httpcore", "uvicorn", "uvicorn.access", "uvicorn.error", "asyncio")


def set_up(*, level: int = logging.INFO, stream: IO[str] | None = None) -> None:
    """Send structlog's and the libraries' logs to `stream` (stderr): coloured on a terminal, else as logfmt.

    The libraries are heard from WARNING on.
    """
    stream = stream or sys.stderr
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.UnicodeDecoder(),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            where_it_failed,
            redact,
            *_renderers(on_terminal=stream.isatty()),
        ],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def where_it_failed(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: an exception's type and place. Its text and variables stay out: they may hold anything."""
    problem = event.pop("exc_info", None)
    if problem is True:
        problem = sys.exc_info()[1]
    if isinstance(problem, tuple):
        problem = problem[1]
    if isinstance(problem, BaseException):
        frames = traceback.extract_tb(problem.__traceback__)
        event["exception"] = type(problem).__name__
        event["at"] = " > ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames)
    return event


def _renderers(*, on_terminal: bool) -> list[structlog.typing.Processor]:
    if on_terminal:
        return [structlog.dev.ConsoleRenderer()]
    return [structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], drop_missing=True)]


def redact(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: hide what must not be logged, by its key or by its looks, however deep it lies."""
    for key, value in event.items():
        event[key] = _HIDDEN if key.lower() in _SECRET_KEYS else _redacted(value)
    return event


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return _SECRET_TEXT.sub(lambda match: (match[1] or "") + _HIDDEN, value)
    if isinstance(value, Mapping):
        return {key: _HIDDEN if str(key).lower() in _SECRET_KEYS else _redacted(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(inner) for inner in value]
    return value
