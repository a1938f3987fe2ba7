"""One HTML page of a run, of several, or of a comparison."""
