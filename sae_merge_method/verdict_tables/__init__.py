"""A comparison as tables: its columns, and what stands around them, for whoever shows one."""
