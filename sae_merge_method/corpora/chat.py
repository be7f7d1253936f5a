"""A user's turn as the model's chat template writes it: the same on every day.

Some templates write today's date into every chat (Llama 3.2's, SmolLM3's), by a function that transformers
gives them. Same inputs are to give the same bytes, so here it tells one day that never changes.
"""

from datetime import datetime
from typing import Any

DAY = datetime(2024, 7, 26)
"""The day that templates are told: ours, and the one that Llama's write where nobody tells them any."""
_CLOCK = "strftime_now"
"""What templates call, with a format such as "%d %B %Y"."""
_DIRECTIVES = "aAwdbBmyYHIpMSfjUWcxXGuV%"
"""All that Python knows on every system, but of time zones."""
# A macro before a template hides the function of its name; transformers takes no function in its place.
_OF_ONE_DAY = (
    f"{{% macro {_CLOCK}(format) %}}{{{{ format"
    + "".join(f" | replace({f'%{letter}'!r}, {DAY.strftime(f'%{letter}')!r})" for letter in _DIRECTIVES)
    # The line's end goes with the tag, and the template begins a line, as it does alone.
    + " }}{% endmacro %}\n"
)


def users_turn(tokenizer: Any, text: str, *, answer_follows: bool = False) -> str:
    """A chat in which a user has said something.

    Args:
        tokenizer: Of transformers, with a chat template.
        text: What the user says.
        answer_follows: Begin the assistant's turn behind it.
    """
    template = tokenizer.get_chat_template()
    if _CLOCK in template:
        template = _OF_ONE_DAY + template
    whole: str = tokenizer.apply_chat_template(
        [{"role": "user", "content": text}],
        chat_template=template,
        tokenize=False,
        add_generation_prompt=answer_follows,
    )
    return whole
