"""What goes wrong around the whole program, on purpose: its start, the engine's death, its own end."""
