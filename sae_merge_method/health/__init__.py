"""What ``sae-merge doctor`` looks at.

It only looks; nothing is installed, registered or written. Printing is left to the command.
"""

from collections.abc import Iterator

from sae_merge_method.health.finding import Finding
from sae_merge_method.health.fresh_interpreters import seen_by_hosts
from sae_merge_method.health.installation import cache, device, hook, interpreter, versions


def examine() -> Iterator[Finding]:
    """Everything there is to say, quick things first; the hosts take some seconds each."""
    yield interpreter()
    yield from versions()
    yield hook()
    yield device()
    yield cache()
    yield from seen_by_hosts()
