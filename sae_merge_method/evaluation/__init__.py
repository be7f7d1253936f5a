"""lm-eval called inside this process: how, on which tasks, and what a loaded model answers."""
