"""How fast updates and the parts around them are, on this machine."""
