"""How far an audit is, in bytes; silent where nobody watches."""

from types import TracebackType

from tqdm import tqdm


class Progress:
    """A progress bar on the terminal's stderr; a context manager."""

    def __init__(self, total: int) -> None:
        self._bar = tqdm(total=total, unit="B", unit_scale=True, desc="verify", disable=None, leave=False)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def advance(self, size: int) -> None:
        """``size`` bytes more are done."""
        self._bar.update(size)
