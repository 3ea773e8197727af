"""What the application needs from outside, as Protocols in the domain's words."""
