"""Call a host so that whatever it raises reaches the user as one of our errors."""

from typing import Any

from sae_merge_method.errors import MergeError, SaeMergeError


def guarded_call(what: str, call: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a host; ours and Ctrl-C pass unchanged.

    Raises:
        MergeError: The host failed; the message begins with ``what``.
    """
    try:
        return call(*args, **kwargs)
    except (SaeMergeError, KeyboardInterrupt):
        raise
    except Exception as error:
        raise MergeError(f"{what} failed: {type(error).__name__}: {error}") from error
