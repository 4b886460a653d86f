"""What trained networks do: recordings, clips, and critics beside Monte-Carlo returns (chapter 5)."""
