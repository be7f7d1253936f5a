"""The trial: real models from the package index, donors trained on the spot, and what the tools say of them.

Run as ``python -m trials`` (``make trial`` sets up what it needs). It is no part of the installed package.
"""
