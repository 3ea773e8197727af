"""API Exchange: azure."""
