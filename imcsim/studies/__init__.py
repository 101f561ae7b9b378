"""What a user may ask of one chip: comparisons, streams, timelines, traces and many programmed chips."""
