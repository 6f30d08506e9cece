"""Default policies."""
