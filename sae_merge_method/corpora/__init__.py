"""Texts: documents of a file or a data set, and the tokens a model reads of them."""
