"""Executors: where independent pieces of work run."""
