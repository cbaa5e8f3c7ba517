"""The practice range: simulators of the vendors around a call, speaking the real protocols over real sockets."""
