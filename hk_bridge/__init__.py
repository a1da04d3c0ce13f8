"""A HomeKit bridge for Bluetooth LE climate sensors and WXDM2 serial dimmers."""

__version__ = "0.1.0"
