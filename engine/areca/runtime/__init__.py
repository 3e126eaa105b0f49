"""Clusters and the settings of their workers."""

from areca.runtime.cluster import open_client
from areca.runtime.memory import (
    memory_limit_bytes,
    peak_memory_bytes,
    release_unused_memory,
    reset_peak_memory,
    resident_memory_bytes,
)

__all__ = [
    "memory_limit_bytes",
    "open_client",
    "peak_memory_bytes",
    "release_unused_memory",
    "reset_peak_memory",
    "resident_memory_bytes",
]
