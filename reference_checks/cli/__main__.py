import sys

from reference_checks.cli import main

sys.exit(main())
