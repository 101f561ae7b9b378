"""The document of `imcsim compare --chips N`: one design, N programmed chips, and the ideal one beside them."""
