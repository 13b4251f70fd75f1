"""Commands to devices: planned from what the rules found, held back by an interlock, sent once, and read back."""
