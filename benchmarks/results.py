"""`benchmarks/RESULTS.md`: one section per command, replaced when the command runs again."""

from __future__ import annotations

import re
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")
TITLE = "# Results\n\nEvery figure here was written by the command above it. Run it to check.\n"


def write_section(heading: str, command: str, body: str, path: Path = RESULTS) -> None:
    """Put `body` under `## heading`, in the place of what stood there, or at the end."""
    text = path.read_text(encoding="utf-8") if path.exists() else TITLE
    section = f"## {heading}\n\n    {command}\n\n{body.strip()}\n"
    found = re.search(rf"^## {re.escape(heading)}\n.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if found:
        text = (
            text[: found.start()] + section + ("\n" if found.end() < len(text) else "") + text[found.end() :]
        )
    else:
        text = f"{text.rstrip()}\n\n{section}"
    path.write_text(text, encoding="utf-8")
