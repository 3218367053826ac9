"""The outside world: every port as a Protocol, and one module per vendor that serves it."""
