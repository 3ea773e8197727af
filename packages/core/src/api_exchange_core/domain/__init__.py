"""The words of the system as values: no clock, no randomness, no I/O; standard library and pydantic only."""
