"""`python -m mtgrpo_env` is the `mtgrpo` command."""

import sys

from mtgrpo_env.cli import main

sys.exit(main())
