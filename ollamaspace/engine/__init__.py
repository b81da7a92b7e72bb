"""The child process and the API we ourselves call. Knows no web server."""
