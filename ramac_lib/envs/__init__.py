"""Tasks, their simulators and hazards; rollouts, live and of the behaviour policies."""
