"""RAMAC, reproduced: risk-aware multimodal actor-critics for offline reinforcement learning."""

__version__ = "0.1.0"
