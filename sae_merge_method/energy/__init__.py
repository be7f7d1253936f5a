"""The energy stage: how much of a task vector the selected features' span keeps, beside chance."""
