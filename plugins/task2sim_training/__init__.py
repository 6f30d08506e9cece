"""What the components that train with torch have in common; a library, no plugin."""
