"""AMQP 1.0 as the Service Bus clients speak it. Only `values` and `engine` know proton."""
