"""API Exchange: core."""
