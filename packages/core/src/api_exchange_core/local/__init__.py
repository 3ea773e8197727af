"""The driving side on one machine: workers, timers and HTTP."""
