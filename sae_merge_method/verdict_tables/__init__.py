"""Artifacts as tables for who shows them: a comparison, an attribution, what is stored of an edit."""
