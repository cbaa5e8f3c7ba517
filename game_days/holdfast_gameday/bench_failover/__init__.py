"""How quickly Holdfast moves traffic, measured again and again on real clusters: `make bench-failover`."""
