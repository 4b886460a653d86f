"""The paper's statements about policies near the data, as things that can be computed, checked and broken.

`discrete` and `continuous` hold Proposition 1 (eq. 13), `mixtures` the conjecture of section 4.2, `anchored` Lemma 4.1
and the safety margin of section 4.1, `tail` the bound on CVaR of the ICML version with the best one there is.
"""

__all__ = ["anchored", "continuous", "discrete", "mixtures", "tail"]
