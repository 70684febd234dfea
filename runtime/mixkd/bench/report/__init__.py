"""The report as values: its schema, its files, quality and intervals."""
