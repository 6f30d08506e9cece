"""Default task sources."""
