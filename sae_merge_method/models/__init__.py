"""Models on disk and in memory: their files, the names of their tensors, their numbers."""
