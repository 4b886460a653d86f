"""What the chapters share and compute: their figures, tables and checks."""
