"""The start-up hook: lets mergekit and lm-eval, which discover no plugins, find this one.

``sae_merge_method.pth`` (``.start`` from Python 3.15 on, PEP 829) calls :func:`install` at every
interpreter start. It only puts a finder on ``sys.meta_path``; nothing else of ours is imported
until a host is. What is then done to the host is :mod:`sae_merge_method.hosts.register`'s business.

Everything here is paid for by every Python process of the environment, so this module and its
package import nothing that the interpreter has not loaded already, not even ``typing``.
"""

import os
import sys

TYPE_CHECKING = False  # what typing.TYPE_CHECKING is at run time, without the import
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

SWITCH = "SAE_MERGE_NO_HOOK"
COMPLAINT = "sae-merge-method could not join"

# A host's module, and the function of sae_merge_method.hosts.register that follows its import.
FOLLOWERS = {
    "mergekit.merge_methods": "register_merge_methods",
    "mergekit.plan": "register_written_dtype",
    "lm_eval.tasks._index": "register_tasks",
}


def install() -> None:
    """Put the finder in front of the others, once; ``SAE_MERGE_NO_HOOK=1`` keeps it away."""
    if not switched_off() and _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def switched_off() -> bool:
    """Whether the user wants the hosts left alone."""
    return os.environ.get(SWITCH, "0") not in ("", "0")


class _HostFinder:
    """Answers for the hosts' modules only, with what the other finders say of them."""

    def find_spec(
        self, fullname: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        if fullname not in FOLLOWERS:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _FollowedLoader(spec.loader, FOLLOWERS[fullname])  # type: ignore[assignment]
                return spec
        return None


class _FollowedLoader:
    """A module's own loader, plus one call of ours once the module is complete."""

    def __init__(self, own: "Any", follower: str) -> None:
        self._own = own
        self._follower = follower

    def __getattr__(self, name: str) -> "Any":
        return getattr(self._own, name)

    def exec_module(self, module: "ModuleType") -> None:
        # Who looks at the module, now or later, finds its own loader, not us.
        module.__loader__ = self._own
        if module.__spec__ is not None:
            module.__spec__.loader = self._own
        self._own.exec_module(module)
        _follow(module.__name__, self._follower)


def _follow(host: str, follower: str) -> None:
    """Call the registering function; whatever goes wrong in it must not break the host's import."""
    try:
        from sae_merge_method.hosts import register as hosts

        getattr(hosts, follower)()
    except Exception as error:
        _warn(
            f"{COMPLAINT} {host.partition('.')[0]}, which goes on without it: "
            f"{type(error).__name__}: {error} ('sae-merge doctor' tells more, {SWITCH}=1 silences this)"
        )


def _warn(message: str) -> None:
    import warnings

    try:
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    except RuntimeWarning:  # python -W error: still no reason to break the host
        sys.stderr.write(f"{message}\n")


_finder = _HostFinder()
