"""Small pieces of Markdown; text that came from elsewhere can neither break a table nor become HTML."""

from collections.abc import Sequence

from sae_merge_method.reports.escape import markdown


def plain(text: str) -> str:
    """One line of text, shown as it is."""
    return markdown(text)


def code(text: str) -> str:
    """One line of code; a backtick inside becomes a plain quote."""
    return f"`{' '.join(text.split()).replace('`', chr(39)).replace('|', chr(92) + '|')}`"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], text: Sequence[str]) -> str:
    """A table whose text columns stand left and whose numbers stand right.

    Args:
        header: Headings.
        rows: Cells, already safe to show (see :func:`plain`).
        text: The headings of the text columns.
    """
    rule = ["---" if heading in text else "---:" for heading in header]
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, rule, *rows))


def section(title: str, *paragraphs: str) -> str:
    """A second-level section of paragraphs; empty ones are left out."""
    return "\n\n".join([f"## {title}", *(paragraph for paragraph in paragraphs if paragraph)])


def bullets(lines: Sequence[str]) -> str:
    """A list."""
    return "\n".join(f"- {line}" for line in lines)
