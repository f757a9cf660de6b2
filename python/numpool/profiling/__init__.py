"""What holds memory: a profile of the lines that make arrays, and the arrays that are alive.

The package imports this when it is first asked for one of these names.
"""

from numpool.profiling._live import LiveArray, live
from numpool.profiling._phases import ProfilePhase, phase
from numpool.profiling._profile import ProfileLine, profile

__all__ = ["LiveArray", "ProfileLine", "ProfilePhase", "live", "phase", "profile"]
