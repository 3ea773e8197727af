"""The store and the queues in an SQL database: SQLite for one machine, PostgreSQL for many."""
