"""What the operator decides, as pure functions over frozen values.

No I/O, no clock, no dice, no logging: time, observations and random delays come in as arguments, and
commands go out as values. `failover.decide` is the place to start reading.
"""
