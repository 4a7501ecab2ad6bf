"""What a user can mend: reported as one line, with exit code 2 and no traceback."""

from contextlib import contextmanager


class InputError(Exception):
    """A wrong input. The message is one line that names the field or file, the rule and the value."""


@contextmanager
def as_input_error(*kinds, prefix=""):
    """Turns the named exceptions of the calls inside into InputError, with a prefix such as a file name."""
    try:
        yield
    except kinds as error:
        message = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{prefix}: {message}" if prefix else message) from error


@contextmanager
def writing(path):
    """Turns a failure to write into InputError: full disk, read-only folder, a file where a folder should be."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
