"""The document of `imcsim compare --chips N`: N programmed chips of a design beside the ideal one."""
