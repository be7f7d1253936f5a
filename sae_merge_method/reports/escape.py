"""Text that came from elsewhere, made safe for each place it is shown in: one door a sink.

Names of models and tensors, documents and recipes are other people's: shown, they must neither become
markup nor steer a terminal. HTML's door is the standard library's ``html.escape``.
"""

_LATEX = str.maketrans(
    {char: f"\\{char}" for char in "&%$#_{}"}
    | {"~": r"\~{}", "^": r"\^{}", "\\": r"\textbackslash{}"}
    # In LaTeX's own font encoding these would be typeset as an inverted "!" and "?", and a dash.
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
)


def one_line(text: str) -> str:
    """The same text on one line, runs of white space as one space."""
    return " ".join(text.split())


def terminal(text: str) -> str:
    """The same lines with every control character shown as its code, so that none reaches the terminal."""
    return "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)


def markdown(text: str) -> str:
    """One line of Markdown that shows the text as it is: no table breaks, no HTML, no emphasis."""
    line = one_line(text)
    for char in "\\|<>`*[]":
        line = line.replace(char, "\\" + char)
    return line


def latex(text: str) -> str:
    """One line of LaTeX that typesets the text as it is."""
    return one_line(text).translate(_LATEX)
