"""The hosts, mergekit and lm-eval: joining them, calling them, and whether both work here."""
