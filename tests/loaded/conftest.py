from tests.models.conftest import gemma3

__all__ = ["gemma3"]
