"""A fleet that never was: the production core in a world drawn from one seed, in which everything goes wrong.

Nothing here sleeps, asks a clock or opens a socket. One heap of events, random numbers from the seed alone, so that a
seed is a replay. What decides is `holdfast.core`; what is simulated is everything around it.
"""
