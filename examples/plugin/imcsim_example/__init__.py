"""One part of each kind that imcsim can be extended by."""
