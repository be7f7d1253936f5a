"""Text that came from elsewhere, made safe for each place it is shown in: one door a sink.

Names of models and tensors, documents and recipes are other people's: shown, they must neither become
markup nor steer a terminal. What cannot be seen (controls, bidirectional overrides, zero-width characters)
is shown as its code by every door. Plain text passes them all unchanged.
"""

import html as _html
import re

# Unicode's "default ignorable" characters that Python takes for printable.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0"
    "\U0001bca0-\U0001bca3\U000e0000-\U000e0fff]"
)
_SPACES = frozenset(
    "\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
)
"""They take their room, and are harmless."""
_BEYOND_JSON = re.compile(r"[^\x00-\x7e]")
_NOT_PLAIN = re.compile(r"[^ -~]")
_NOT_PLAIN_IN_LINES = re.compile(r"[^ -~\n]")


def one_line(text: str) -> str:
    """The same text on one line, runs of white space as one space."""
    return " ".join(text.split())


def terminal(text: str) -> str:
    """The same lines with every character that is not seen shown as its code: none reaches the terminal."""
    return _NOT_PLAIN_IN_LINES.sub(_seen, text)


def terminal_line(text: str) -> str:
    """The same for text that is one line of ours: a line break in it cannot begin another."""
    return _NOT_PLAIN.sub(_seen, text)


def comment(text: str) -> str:
    """What stands on one line after a comment's sign, in YAML or LaTeX: nothing in it ends the comment."""
    return terminal_line(one_line(text))


def markdown(text: str) -> str:
    """One line of Markdown that shows the text as it is: no table, list, link or formula, no HTML."""
    line = _MARKUP.sub(r"\\\g<0>", comment(text))
    return _AT_LINE_START.sub(lambda start: f"{start[1]}\\{start[2]}", line)


def html(text: str) -> str:
    """The same for HTML, between tags and in quoted attributes; line breaks stay."""
    return _html.escape(terminal(text))


def latex(text: str) -> str:
    """One line of LaTeX that typesets the text as it is."""
    return re.sub("-(?=-)", "-{}", comment(text).translate(_LATEX))


def csv_field(text: str) -> str:
    """A field of a CSV line that no spreadsheet takes for a formula, quoted where that is needed.

    A number written as text stays that number, a negative one too.
    """
    line = comment(text)
    if not _NUMBER.fullmatch(line):
        line = _FORMULA.sub(r"\g<0>'", line)
    return f'"{line.replace(chr(34), chr(34) * 2)}"' if re.search('[",;]', line) else line


def figure(text: str) -> str:
    """Text for matplotlib, which would take what stands between two dollars for a formula; lines stay."""
    return terminal(text).replace("$", r"\$")


def json_text(text: str) -> str:
    """The same JSON value, what is not seen written as ``\\u`` escapes: it can be printed to a terminal."""
    return _BEYOND_JSON.sub(lambda char: char[0] if _is_seen(char[0]) else _utf16(char[0]), text)


def _seen(char: re.Match[str]) -> str:
    return char[0] if _is_seen(char[0]) else ascii(char[0])[1:-1]


def _is_seen(char: str) -> bool:
    return (char.isprintable() and not _UNSEEN.match(char)) or char in _SPACES


def _utf16(char: str) -> str:
    """JSON's escape: two for a character beyond the basic plane; a lone surrogate is one."""
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[nth : nth + 2].hex()}" for nth in range(0, len(units), 2))


_MARKUP = re.compile(
    r"[\\|<>`*\[\]~$]"
    # Inside a word an underscore is one; an ampersand or an address is markup only as a whole.
    r"|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)|:(?=//)|(?<=www)\.",
    re.IGNORECASE,
)
# A heading, a list, a rule or an underline of the line above.
_AT_LINE_START = re.compile(r"^(\d{0,9})((?<!\d)[-+#=](?=\s|$|[-#=])|(?<=\d)[.)](?=\s|$))")
# Where a field begins that a spreadsheet calculates; of another language it takes semicolons for separators.
_FORMULA = re.compile("(?:^|;)(?=[\"' ]*[-=+@\uff1d\uff0b\uff0d\uff20])")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?|[-+]?(inf|nan)", re.IGNORECASE)
_LATEX = str.maketrans(
    {char: f"\\{char}" for char in "&%$#_{}"}
    | {"~": r"\~{}", "^": r"\^{}", "\\": r"\textbackslash{}"}
    # In LaTeX's own font encoding these would be typeset as an inverted "!" and "?", and a dash.
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
    # At the start of a row they would be arguments of the one before.
    | {char: f"{{{char}}}" for char in "[]*"}
    # Quotation marks and ligatures; an active character with some of babel's languages.
    | {"`": r"\textasciigrave{}", '"': r"\symbol{34}"}
)
