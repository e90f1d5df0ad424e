"""`python -m umbel.cli`: the command where no script is installed."""

import sys

from umbel.cli.main import main

sys.exit(main())
