"""lm-eval tasks: YAML and the few functions it calls. lm-eval reads these folders, Python code need not."""

from pathlib import Path


def tasks_path() -> Path:
    """The folder to give lm-eval as ``--include_path``."""
    return Path(__file__).resolve().parent
