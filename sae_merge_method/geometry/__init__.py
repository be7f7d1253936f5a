"""Linear algebra of task vectors and feature directions: pure functions, no files and no hosts."""
