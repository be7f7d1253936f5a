"""The files that pass between the stages: their names, schemas, readers and writers.

Stages meet only here: none of them imports another.
"""
