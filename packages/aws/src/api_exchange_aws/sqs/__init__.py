"""Queues in Amazon SQS, standard and FIFO."""
