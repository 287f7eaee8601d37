"""What holds for all tests."""

import os

from hypothesis import settings

# A test is not wrong because the machine is busy; and CI tries the same examples every time.
settings.register_profile("fedtiny", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("fedtiny")
