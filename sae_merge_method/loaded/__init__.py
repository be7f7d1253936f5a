"""A model in memory: loading it, the sites in it, and the passes in which they are read or replaced."""
