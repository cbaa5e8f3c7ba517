"""The operator: watches what calls depend on and moves new calls away from what is ill. It never touches audio."""
