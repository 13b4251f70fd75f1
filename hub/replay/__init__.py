"""What came in once, brought back in order: from the journal, a history, or a CSV file. Reads only."""
