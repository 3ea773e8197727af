"""The use cases. They know the domain and the ports, and no adapter."""
