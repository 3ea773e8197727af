"""API Exchange on AWS Lambda. Empty so far: no adapter, no trigger, no public name."""

__all__: list[str] = []
