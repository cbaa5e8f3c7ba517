"""The kubectl plugin: answers for people, and for scripts by `-o json`.

It reads clusters with `kubectl get --raw`, so every way to log in that kubectl knows works here too, and it starts
quickly because it imports neither the operator's framework nor an HTTP client.
"""
