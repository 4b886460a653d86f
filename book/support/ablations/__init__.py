"""What matters: the sweeps of chapter 6, the rule that chooses among them, risk measures, rules for short runs."""
