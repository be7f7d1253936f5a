"""What lm-eval works out anew for every arm though it depends on nothing but its arguments: worked out once.

Arms give many of the same answers, and all are asked the same: to compare an answer with the right one, to
read a solution and to compile a task's templates takes longer than a small model takes to answer. The
functions are the hosts' own and so are their values; only calls are left out. What is asked is remembered by
:mod:`~sae_merge_method.evaluation.requests`.
"""

import copy
import importlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from lm_eval.tasks import TaskManager

_MOST = 1 << 14
"""Values of a function that are kept, the oldest go first."""
_IN_TIME = 1.0
"""Seconds, fewer than any host allows itself for an answer: what took longer, the clock may have decided."""


class Pure(NamedTuple):
    """A function of a host whose value depends on its arguments alone, all of them strings."""

    module: str
    function: str
    """Its name in the module, with what of the module holds it before a dot."""
    gives_up: bool
    """Whether it gives up after some seconds, on another machine or day perhaps not."""
    of_folder: bool = False
    """Whether it depends on the working folder as well."""


PURE = (
    # this machine, described by pip
    Pure("torch.utils.collect_env", "get_pretty_env_info", gives_up=False),
    # a commit; git complains of none
    Pure("lm_eval.evaluator", "get_git_commit_hash", gives_up=False, of_folder=True),
    # a template of a task, compiled
    Pure("lm_eval.utils", "env.from_string", gives_up=False),
    # an answer beside the right one, and either of the two read by sympy
    Pure("lm_eval.tasks.minerva_math.utils", "is_equiv", gives_up=True),
    Pure("lm_eval.tasks.minerva_math.utils", "parse_latex", gives_up=True),
    # a solution read by math_verify
    Pure("lm_eval.tasks.minerva_math.utils", "parse", gives_up=True),
)
"""All of them."""


@contextmanager
def remembered(manager: "TaskManager") -> Iterator["TaskManager"]:
    """Within the block, the functions of :data:`PURE` are called once in this process for the same arguments.

    Args:
        manager: lm-eval's, which knows the tasks.

    Yields:
        The same manager. What tasks bring along is remembered from when it has loaded them.
    """
    with ExitStack() as stack:
        watched = copy.copy(manager)

        def load(tasks: Any) -> Any:
            loaded = manager.load(tasks)
            stack.enter_context(_in_place())
            return loaded

        watched.load = load
        yield watched


@contextmanager
def _in_place() -> Iterator[None]:
    """The functions replaced by those that remember, of modules that are imported."""
    importlib.import_module("torch.utils.collect_env")  # lm-eval imports it no sooner than it asks
    replaced = []
    for one in PURE:
        holder, _, name = f"{one.module}.{one.function}".rpartition(".")
        module = sys.modules.get(one.module)
        if module is not None:
            inside = holder.removeprefix(one.module).removeprefix(".")
            host: Any = attrgetter(inside)(module) if inside else module
            function = getattr(host, name)
            replaced.append((host, name, function))
            setattr(host, name, _remembering(function, one.gives_up, one.of_folder))
    try:
        yield
    finally:
        for host, name, function in reversed(replaced):
            setattr(host, name, function)


@cache
def _remembering(function: Callable[..., Any], gives_up: bool, of_folder: bool) -> Callable[..., Any]:
    """The function with a memory, which lasts as long as the process."""
    known: dict[tuple[str, ...], Any] = {}

    def call(*arguments: Any, **named: Any) -> Any:
        if named or not all(isinstance(argument, str) for argument in arguments):
            return function(*arguments, **named)  # as another version of the host may call it
        key = (str(Path.cwd()), *arguments) if of_folder else arguments
        if key in known:
            return known[key]
        begun = time.monotonic()
        value = function(*arguments)
        if not gives_up or time.monotonic() - begun < _IN_TIME:
            if len(known) >= _MOST:
                del known[next(iter(known))]
            known[key] = value
        return value

    return call
