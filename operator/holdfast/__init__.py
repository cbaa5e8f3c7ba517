"""The operator: watches every layer a call depends on and moves new calls away from what is ill. It never touches audio."""
