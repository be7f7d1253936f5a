"""Interpretability-guided model editing for mergekit and lm-evaluation-harness.

Importing this package registers nothing and loads no heavy library; see
:mod:`sae_merge_method.hosts.register` for the explicit seam with mergekit and lm-eval.
"""

__version__ = "0.1.0"
