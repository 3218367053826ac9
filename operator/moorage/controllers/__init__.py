"""The Kubernetes door: what rings, what waits in line, and one reconcile per kind."""
