"""The command `paperspec`.

`list`, `lint` and `claims` read specs and import neither Keras nor a backend; everything
heavier is imported inside the command that needs it.

Exit codes: 0, all well; 1, something is contradicted (or two models differ); 2, bad input;
3, a model did not run to its end (out of memory, or its process died).
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

from reference_checks.cli.parser import parser
from reference_checks.errors import InputError
from reference_checks.problems import SpecError


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    arguments = parser().parse_args(argv)
    try:
        code = arguments.command(arguments)
        sys.stdout.flush()  # what cannot be printed is found here, not at the exit
        return code
    except BrokenPipeError:  # `paperspec claims | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        print(
            f"paperspec: the output cannot be written: {error.strerror}",
            file=sys.stderr,
        )
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except SpecError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return 2
    except InputError as error:
        print(f"paperspec: {error}", file=sys.stderr)
        return 2
