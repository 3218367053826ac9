"""What should exist in the cluster: typed input in, plain manifests out, and nothing else."""
