"""The test bed: a real one-node Kubernetes cluster on a bare machine."""
