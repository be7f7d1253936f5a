"""Which model it is, by its weights and wherever they lie, and what else a result is made from."""
