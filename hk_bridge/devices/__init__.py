"""What stands in the house, as pure state machines: time arrives as an argument."""
