"""An experiment: every arm that a claim needs, merged, evaluated and set beside the base.

It drives the stages (diagnose, recipe, controls, merge, compare) and adds no editing or testing of its own.
"""
