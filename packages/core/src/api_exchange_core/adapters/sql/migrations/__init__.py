"""Alembic's folder: the steps from one release's schema to the next."""
