"""One line of the doctor's report, and the words its findings share."""

from dataclasses import dataclass

DISTRIBUTION = "sae-merge-method"
REINSTALL = f"reinstall it: pip install --force-reinstall --no-deps {DISTRIBUTION}"


@dataclass(frozen=True)
class Finding:
    """One line of the report; with ``problem`` comes ``mend``, what to do about it."""

    subject: str
    state: str
    problem: str = ""
    mend: str = ""
