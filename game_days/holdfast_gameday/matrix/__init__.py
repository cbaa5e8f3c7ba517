"""The matrix: every kind of provider against every other, and every way in which one can fail in a caller's ear.

    cases     what is tried: pure, and the same for the same seed
    vendors   the simulated vendors, and how a bridge is told of them
    bridges   one real bridge process for each call
    entry     what stands between the carrier and the bridges: TLS, and a way for each
    play      one case: the call, the fault, what came of it
    judge     whether the caller noticed more than he may: pure
    table     what a person reads
"""
