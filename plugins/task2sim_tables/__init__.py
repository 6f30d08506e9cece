"""Reward tables: scores that are known, read from files and written from finished runs."""
