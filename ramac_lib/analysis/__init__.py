"""Stored rows and trained runs become numbers: intervals, evidence, recordings, critic checks."""
