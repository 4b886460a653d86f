"""The quantile critics' head and loss on a CPU in C++, where a compiler is; nothing else needs it."""
