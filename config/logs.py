"""Logs: one line an event on standard error, as JSON for collectors or as text for people."""

from typing import Any

import structlog

# A line for each task every few seconds hides the others; what a task has to say, it says itself.
QUIET = ("axes", "celery.app.trace", "celery.beat", "celery.worker.strategy", "implicit", "numba")

_PROCESSORS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
_RENDERERS: dict[str, list[Any]] = {
    "json": [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
    # Not structlog's own tracebacks: they show every local variable, passwords too, and take so long to draw that
    # threads that have something to log queue up behind each other.
    "console": [
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    ],
}


def logging_configuration(level: str, log_format: str) -> dict[str, Any]:
    """Django's LOGGING; sets structlog up to write through the same handler.

    `log_format`: "json" or "console". Raises ValueError for another.
    """
    if log_format not in _RENDERERS:
        raise ValueError(f"LOG_FORMAT is {log_format!r}; use one of {', '.join(_RENDERERS)}.")
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_PROCESSORS,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = {
        "()": "structlog.stdlib.ProcessorFormatter",
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_RENDERERS[log_format]],
        "foreign_pre_chain": _PROCESSORS,
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"structured": formatter},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": {"handlers": [], "propagate": True},
            "django.server": {"handlers": [], "propagate": True, "level": "WARNING"},
            "django.request": {"level": "ERROR"},
            **{name: {"level": "WARNING"} for name in QUIET},
        },
    }
