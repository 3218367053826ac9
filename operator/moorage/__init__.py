"""Moorage: a Kubernetes operator that hosts AI agents against prepaid credit."""

__version__ = "0.1.0"
