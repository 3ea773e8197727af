"""Erasing a tenant in more places than one."""
