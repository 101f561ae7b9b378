"""The document of `imcsim reproduce`: the paper's networks here, beside what the paper says."""
