"""What all tests share."""

from hypothesis import settings

# A busy machine is no failure; what must be fast is measured by scripts/bench.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
