"""What a campaign's results say: tables, aggregates, figures, and verdicts on the paper's sentences (chapter 5).

Everything here follows the file that it reads: tasks, hazards, rows, seeds and updates are whatever the campaign had.
"""

from ramac_lib.evidence.store import Evidence, Missing, load

__all__ = ["Evidence", "Missing", "load"]
