"""A comparison as tables, its columns and what stands around them, and an attribution, for who shows them."""
