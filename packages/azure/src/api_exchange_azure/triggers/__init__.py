"""What starts a function of Azure, in the words of the use cases."""
