"""What a campaign's results say: tables, aggregates, figures, verdicts on the paper's sentences (chapter 5)."""
