"""API Exchange: testing."""
