"""The commands of `api-exchange`, a module each."""
