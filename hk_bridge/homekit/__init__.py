"""The devices as HomeKit sees them, on HAP-python."""
