"""`make torture`: kill, pause and crash what handles messages, and see that each took effect exactly once."""
