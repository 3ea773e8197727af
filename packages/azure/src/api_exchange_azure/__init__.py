"""API Exchange on Azure Functions. Empty so far: no adapter, no trigger, no public name."""

__all__: list[str] = []
