"""Policies as differentiable maps from noise and state to an action; they know nothing about values."""
