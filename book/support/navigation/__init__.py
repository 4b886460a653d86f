"""Risky navigation (chapter 3b): its optima as stored tables, and policies beside them."""
