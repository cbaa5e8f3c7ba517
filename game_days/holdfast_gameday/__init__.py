"""Game days: real clusters, a practice range of simulated vendors, scenarios and their reports. Nothing here runs in a call."""
