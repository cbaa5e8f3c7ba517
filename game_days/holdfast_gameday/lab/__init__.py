"""Real clusters on one machine: three regions, a public network between them, and faults that can be healed."""
