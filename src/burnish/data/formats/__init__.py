"""One file per family of row formats; each converts a raw row into a record, or says what is wrong with the row."""
