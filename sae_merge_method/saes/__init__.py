"""Sparse autoencoders: where they lie, whether they fit, and how they encode and decode."""
