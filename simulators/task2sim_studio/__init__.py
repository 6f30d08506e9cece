"""studio: the embedded simulator, procedural objects and skies on a rasteriser of our own."""
