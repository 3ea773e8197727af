"""Page after page: which request comes next, as pure state machines."""
