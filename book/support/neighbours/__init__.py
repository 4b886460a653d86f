"""Neighbours of RAMAC: what each changes, what its own formulas say, and how it fares beside RADAC."""
