"""Safety as a constraint (chapter 8b): limits on costs beside tails of returns."""
