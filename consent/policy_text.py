from __future__ import annotations

from typing import Final

from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

# CommonMark without raw HTML: what an officer pastes into a notice is shown and never run.
_MARKDOWN: Final = MarkdownIt("commonmark", {"html": False}).enable("table")


def render_policy(text: str) -> SafeString:
    """A notice's Markdown as HTML; tags in it are escaped and links to scripts are left as text."""
    return mark_safe(_MARKDOWN.render(text))
