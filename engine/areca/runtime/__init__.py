"""Clusters and the settings of their workers."""

from areca.runtime.cluster import open_client
from areca.runtime.memory import peak_memory_bytes

__all__ = ["open_client", "peak_memory_bytes"]
