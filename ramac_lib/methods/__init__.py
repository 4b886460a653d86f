"""One file a method: its config, its losses, its update."""
