"""Bundles: what a reviewer needs to redo the numbers of a run or an ablation, and the check that they are so."""
