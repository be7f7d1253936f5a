"""Processes that a command starts on one work, here or on Ray, and joins: what ``workers.py`` has meet."""
