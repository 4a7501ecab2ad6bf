"""The command line: bittrue COMMAND. Its commands are in the modules named *_command and *_commands."""

import sys
import warnings

from amaranth.hdl import UnusedElaboratable
from typer.exceptions import Abort, TyperException

from . import array_commands, error_command, network_commands, search_command  # noqa: F401  (they register themselves)
from .app import app, close_stdout
from .errors import InputError, reason


def main():
    """Runs the command line; whatever the user can mend is one line on stderr and exit code 2."""
    warnings.simplefilter("ignore", UnusedElaboratable)  # an interruption leaves components that nothing used
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except InputError as error:
        sys.exit(_refuse(str(error)))
    except TyperException as error:
        sys.exit(_refuse(_one_line(error)))
    except (Abort, KeyboardInterrupt):
        sys.exit(130)
    except OSError as error:
        sys.exit(_unwritten(error))
    except MemoryError as error:
        sys.exit(_refuse(f"not enough memory: {reason(error)}"))
    sys.exit(code if isinstance(code, int) else 0)


def _one_line(error: TyperException):
    message = " ".join(getattr(error, "format_message", lambda: str(error))().split())
    refused = getattr(error.__cause__, "errors", list)()
    return f"{message}, not {refused[0]['input']!r}" if refused else message


def _refuse(message):
    if message:
        line = "".join(char if char.isprintable() else repr(char)[1:-1] for char in message)
        print(f"bittrue: {line}", file=sys.stderr)
    return 2


def _unwritten(error: OSError):
    """Exit code after a failure that no flow expects: a full disk under stdout or the folder of temporary files."""
    close_stdout()
    return _refuse(f"cannot write {error.filename or 'the output'}: {reason(error)}")


if __name__ == "__main__":
    main()
