"""The verdict: what changed between two evaluations by lm_eval, and whether it is more than chance."""
