"""The tests, and the fake engine they run against."""
