"""Adapters that speak HTTP to other people's APIs."""
