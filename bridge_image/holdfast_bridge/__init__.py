"""The bridge: one voice agent's calls in one region. It knows nothing of Kubernetes and nothing of the operator's code."""
