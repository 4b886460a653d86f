"""Where slices of a campaign are done: in this process or in others."""
