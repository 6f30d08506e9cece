"""Observers that write a study's numbers where experiment trackers show them: TensorBoard and MLflow."""
