"""What the report's sentences have in common."""


def counted(number: int, noun: str) -> str:
    """So many of them: ``1 donor``, ``2 donors``. The noun's plural has to be in s."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
