"""What simulations cost, and what they find."""
