"""API Exchange on Azure Functions: Service Bus and Storage Queues, and triggers from both, timers and HTTP."""

from api_exchange_azure.function_app import Subscription, create_function_app

__all__ = ["Subscription", "create_function_app"]
