"""Files: written whole or not at all, copied by the kernel, hashed, worked on by several threads."""
