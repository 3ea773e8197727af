"""Many processes that need a token of one vendor at the same moment, killed and paused in the middle of it."""
