"""What a function costs before it does anything: to load, and to keep."""
