"""One run: its config, loop, engine, evaluations, directory."""
