"""Encryption, by the library ``cryptography``, which is loaded when something is first sealed."""
