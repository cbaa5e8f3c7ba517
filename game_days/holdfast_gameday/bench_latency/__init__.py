"""How much of the time from voice to voice is ours: the same stages driven alone, and through a real bridge."""
