"""The commands, a file for each group. They parse, call and print; heavy imports stay inside them."""
