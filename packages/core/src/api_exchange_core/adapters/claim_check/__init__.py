"""Queues with a smaller limit than messages have, and a store for what does not fit."""
