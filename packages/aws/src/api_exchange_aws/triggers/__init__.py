"""What starts a Lambda function, in the words of the use cases."""
