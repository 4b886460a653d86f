"""Where transitions come from: bundled policies, D4RL, Minari, or a file in D4RL's layout."""
