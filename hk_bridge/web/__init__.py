"""HTTP: what a running bridge tells, and does when it is asked to."""
