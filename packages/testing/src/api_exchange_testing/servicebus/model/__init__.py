"""Service Bus without a wire: queues, topics, sessions and locks, in memory, by a clock that is handed in."""
