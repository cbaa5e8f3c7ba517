"""The custom resources as frozen models: the one source of the CRDs, and the only place that knows their spelling."""
