"""What the arms of an experiment say together: numbers, claims, tables, pages."""
