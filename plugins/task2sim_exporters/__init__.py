"""Default exporters."""
