"""Tables of Azure Storage."""
