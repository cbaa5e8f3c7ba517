"""The bridge: one voice agent's calls in one region. It knows no Kubernetes and none of the operator's code."""
