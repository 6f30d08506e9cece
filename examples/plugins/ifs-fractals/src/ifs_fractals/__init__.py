"""Fractals for pre-training: a category is an iterated function system, an image one of its many variations."""

from ifs_fractals.simulator import Fractals

__all__ = ["Fractals"]
