"""The errors a user can meet. Only ``cli/`` turns them into messages and exit codes."""


def first_line(error: BaseException) -> str:
    """What a host's error says in its first line; the kind of error where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


class SaeMergeError(Exception):
    """Base of every error this package raises on purpose (exit code 1).

    A message says what was expected, where, and what came instead.
    """

    exit_code = 1


class UsageError(SaeMergeError):
    """The command or value itself is malformed, whatever the files hold (exit code 2)."""

    exit_code = 2


class InUseError(SaeMergeError):
    """Somebody else is writing where this command writes, or wrote there meanwhile."""


class ArtifactError(SaeMergeError):
    """A file that should hold one of our artifacts is missing, damaged or of another kind."""


class RecipeError(SaeMergeError):
    """A recipe that mergekit might accept in silence, but that cannot mean what it says."""


class MergeError(SaeMergeError):
    """The merge itself cannot go on: a tensor is missing, misshapen or not finite."""


class CorpusError(SaeMergeError):
    """A corpus is empty, unreadable, or the same on both sides."""


class SaeError(SaeMergeError):
    """A sparse autoencoder cannot be read, or does not fit the model."""


class RefusedSaeError(SaeError):
    """A sparse autoencoder can be read, but is of a kind that cannot mean what it is wanted for."""


class ModelError(SaeMergeError):
    """A language model cannot be read, or is of a kind that is not supported."""


class ComparisonError(SaeMergeError):
    """Two evaluations cannot be compared, and the reason why."""
