"""Game days: real clusters, a practice range of simulated vendors, scenarios and reports. None of it runs in a call."""
