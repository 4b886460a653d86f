"""Files, processes, devices and errors: what knows nothing of reinforcement learning."""
