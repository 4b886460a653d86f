"""Networks, losses and random numbers with a seed axis; policies."""
