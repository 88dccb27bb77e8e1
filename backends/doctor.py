"""`python -m backends.doctor`: looks at the whole machine and says what to mend; `--help` tells the options.

The same as `python server.py doctor`, which it starts, and nothing else: ADR 8 says why it is here.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from server import main

    sys.argv[1:1] = ["doctor"]
    main()
