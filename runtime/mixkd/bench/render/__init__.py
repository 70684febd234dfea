"""The report for people: a text table, Markdown, an HTML page with charts."""
