"""Queues in Azure Service Bus, with sessions and without."""
