"""The wire, pure: borders of lines, final records and error bodies. Opens no socket and knows no request."""
