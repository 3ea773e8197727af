"""Azure Storage: queues, and blobs for contents that are too large for them."""
