"""Tests, intervals, corrections and verdicts: numbers in, named results out.

Pure functions that cite their source and say why each guard is there. Nothing here knows lm-eval's files, our
artifacts or a stage; scipy is taken where it has the thing itself, and imported only where it is used,
because its import takes longer than a comparison.
"""
