"""What an experiment's arms say together: read, tested, put into words, tables and pictures."""
