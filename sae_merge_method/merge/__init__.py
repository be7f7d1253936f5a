"""The third stage: add the raw task vector to the chosen layers, and to nothing else."""
