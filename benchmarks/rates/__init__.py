"""The simulations behind ``calibration.py``, a file a topic, each with its rows of ``RATES``."""
