"""What stands before the stages: base, texts, tasks, each made unless it is there, and timed."""

import os
import time
from collections.abc import Callable

from trials.folder import TrialFolder
from trials.jobs import Timing, keep_timing
from trials.models import make_base, model_named
from trials.settings import TrialSettings
from trials.tasks import make_tasks
from trials.texts import make_texts


def make(settings: TrialSettings, folder: TrialFolder, tell: Callable[[str], None]) -> None:
    """Make all of it in this process.

    Args:
        settings: Model, abilities, seeds and how many problems.
        folder: The trial's.
        tell: Takes a line on how far it is.

    Raises:
        ModelError: A package that holds the model is missing.
    """
    base, model = folder.root / folder.base, model_named(settings.model)
    steps: tuple[tuple[str, Callable[[], None]], ...] = (
        ("base", lambda: make_base(model, base)),
        ("texts", lambda: make_texts(settings, folder.root / "texts")),
        ("tasks", lambda: make_tasks(settings, folder.root / folder.tasks)),
    )
    tell(model.notice)
    for name, step in steps:
        tell(f"{name}: made, unless it stands")
        start, cpu = time.perf_counter(), time.process_time()
        step()
        seconds = time.perf_counter() - start
        if seconds > 1:  # what stood took no time
            timing = Timing(
                stage=name,
                name="",
                command=f"python -m trials run --model {settings.model}",
                seconds=seconds,
                cpu_seconds=time.process_time() - cpu,
                cores=os.cpu_count() or 1,
                load=os.getloadavg()[0],
                code=0,
            )
            keep_timing(folder.root, timing)
