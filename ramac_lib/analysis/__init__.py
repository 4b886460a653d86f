"""Stored rows and trained runs become numbers: tables, intervals, verdicts, recordings."""
