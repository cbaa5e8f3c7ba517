"""`python -m holdfast_bridge`: one bridge pod."""

from __future__ import annotations

import sys

from holdfast_bridge.main import main

sys.exit(main())
