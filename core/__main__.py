import sys

from core.command_line.cli import main

sys.exit(main())
