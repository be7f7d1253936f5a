"""The miniature: a language model, a donor and SAEs trained on the spot, and the whole road run on them.

It drives the stages only through their public commands. Everything here is ours, made to show the
software offline; the paper (arXiv 2605.28649) works on Gemma-3-4B-IT.
"""
