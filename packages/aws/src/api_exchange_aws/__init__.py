"""API Exchange on AWS Lambda: SQS queues, and triggers from SQS, EventBridge, API Gateway and load balancers."""

from api_exchange_aws.lambda_handler import create_lambda_handler

__all__ = ["create_lambda_handler"]
