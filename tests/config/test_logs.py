"""What stands in the logs."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from django.test import Client

from config.logs import logging_configuration


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the production handler would write, while a test runs."""
    formatter = logging_configuration("INFO", "json")["formatters"]["structured"]
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(**{k: v for k, v in formatter.items() if k != "()"})
    )
    logging.getLogger().addHandler(handler)
    structlog.contextvars.clear_contextvars()
    yield stream
    logging.getLogger().removeHandler(handler)
    structlog.contextvars.clear_contextvars()


def _lines(log: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_one_json_object_a_line_from_both_kinds_of_logger(log: io.StringIO) -> None:
    structlog.get_logger("ours").warning("training_failed", store="demo", seconds=1.5)
    logging.getLogger("theirs").warning("plain %s", "words", extra={"code": 7})
    ours, theirs = _lines(log)
    assert (ours["event"], ours["level"], ours["logger"], ours["seconds"]) == (
        "training_failed",
        "warning",
        "ours",
        1.5,
    )
    assert (theirs["event"], theirs["logger"], theirs["code"]) == ("plain words", "theirs", 7)
    assert str(ours["timestamp"]).endswith("Z")


def test_a_traceback_for_people_shows_no_values() -> None:
    formatter = logging_configuration("INFO", "console")["formatters"]["structured"]
    handler = logging.StreamHandler(stream := io.StringIO())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(**{k: v for k, v in formatter.items() if k != "()"})
    )
    logger = logging.getLogger("for people")
    logger.addHandler(handler)

    def log_in(password: str) -> None:
        raise ValueError("not the password")

    try:
        log_in("-".join(["correct", "horse"]))
    except ValueError:
        logger.exception("login_failed")
    finally:
        logger.removeHandler(handler)
    assert "ValueError: not the password" in stream.getvalue()
    assert "correct-horse" not in stream.getvalue()


def test_an_exception_stands_on_one_line(log: io.StringIO) -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        structlog.get_logger("ours").exception("broke")
    (line,) = _lines(log)
    assert "ValueError: two\nlines" in str(line["exception"])


@pytest.mark.django_db
def test_lines_of_one_request_share_its_id(client: Client, log: io.StringIO, settings: object) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"  # type: ignore[attr-defined]
    client.get("/readyz", headers={"X-Request-ID": "request-12345"})
    lines = [line for line in _lines(log) if line["event"] == "readiness_check_failed"]
    assert len(lines) == 2
    assert {line["http_request_id"] for line in lines} == {"request-12345"}


def test_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="LOG_FORMAT is 'xml'; use one of json, console"):
        logging_configuration("INFO", "xml")
