"""Values that cross stages."""
