"""Preliminaries."""
