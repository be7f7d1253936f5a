"""Models on disk: their files, their families, the names of their tensors and their numbers."""
