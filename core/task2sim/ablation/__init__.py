"""Ablations: a base study, what varies in it, and seeds; each combination is a study, and all share the store."""

from task2sim.ablation.database import Ablation, AblationDatabase

__all__ = ["Ablation", "AblationDatabase"]
