"""A progress bar by bytes that any thread may move; quiet when nobody watches."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from sae_merge_method.merge.copying import Advance


@contextmanager
def bytes_bar(total: int, doing: str, *, quiet: bool = False) -> Iterator[Advance]:
    """Yield a function that takes the number of bytes just done.

    Args:
        total: Bytes in all.
        doing: What is going on, in a word.
        quiet: Show nothing, even on a terminal.
    """
    moving = threading.Lock()
    with tqdm(
        total=total, desc=doing, unit="B", unit_scale=True, unit_divisor=1000, disable=True if quiet else None
    ) as bar:

        def advance(done: int) -> None:
            with moving:
                bar.update(done)

        yield advance
