"""What the book says of trained networks, and how it is measured, tabled and drawn. Nothing below imports this."""
