"""What stores of tokens share, whatever they keep them in."""
