"""A backbone made for somebody's own pictures, in one command."""
