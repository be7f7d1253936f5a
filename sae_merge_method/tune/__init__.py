"""The tune stage: the best edit within a damage budget, searched in memory and judged on what was held
back."""
