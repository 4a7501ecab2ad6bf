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
        raise InputError(f"{prefix}: {reason(error)}" if prefix else reason(error)) from error


def writing(path):
    """Turns a failure to write into InputError: full disk, read-only folder, a file where a folder should be."""
    return as_input_error(OSError, prefix=f"cannot write {path}")


def reason(error):
    """What an exception says, on one line, without error numbers."""
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(text.split()) or type(error).__name__
