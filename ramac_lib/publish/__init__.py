"""Chapters are executed, built into a book and checked."""
