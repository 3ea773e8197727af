"""Objects in Amazon S3."""
