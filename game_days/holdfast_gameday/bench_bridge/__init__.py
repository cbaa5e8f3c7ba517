"""How many calls a core carries: this bridge beside others, under one simulated carrier and one simulated provider."""
