"""Reading the source of processors: where they send to, told without running them."""
