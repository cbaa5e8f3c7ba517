"""`python -m holdfast_bridge`: one bridge pod."""

from __future__ import annotations

import gc
import sys

from holdfast_bridge.main import main

# What was imported stays for good: a collector that looked through it, too, would hold up every call's sound meanwhile.
gc.freeze()
sys.exit(main())
