"""Chapter 7: what a rate of actions out of the data can mean, where the answer is known and where it is not."""
