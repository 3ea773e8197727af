"""API Exchange: aws."""
