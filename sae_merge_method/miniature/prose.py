"""General text from templates: short everyday stories with no arithmetic in them."""

from random import Random

_PEOPLE = (
    "the baker", "the old sailor", "a young painter", "the teacher", "my neighbour", "the doctor",
    "a tired farmer", "the captain", "her sister", "the gardener", "a stranger", "the musician",
)  # fmt: skip
_DEEDS = (
    "walked to", "looked for", "talked about", "dreamed of", "wrote about", "returned to",
    "ran from", "remembered", "painted", "searched", "waited near", "slept in",
)  # fmt: skip
_PLACES = (
    "the harbour", "the market", "a quiet garden", "the old bridge", "the mountain village",
    "the library", "a dark forest", "the river", "the empty station", "a warm kitchen", "the tower",
)  # fmt: skip
_TIMES = (
    "In the morning", "Late at night", "On a rainy day", "After the storm", "In early spring",
    "At noon", "Before dinner", "During the war", "Every winter", "Last summer",
)  # fmt: skip
_SCENES = (
    "the air was cold", "the streets were empty", "everyone was glad", "nobody said a word",
    "the sea was calm", "the lamps were lit", "the birds came back", "the bread was warm",
    "the music went on", "the snow had melted", "the letter never came", "the door stayed open",
)  # fmt: skip
_LINKS = ("and", "because", "while", "so", "although", "but", "until", "when")


def draw_story(rng: Random) -> str:
    """One story of three to five sentences."""
    return " ".join(_sentence(rng) for _ in range(rng.randint(3, 5)))


def _sentence(rng: Random) -> str:
    act = f"{rng.choice(_PEOPLE)} {rng.choice(_DEEDS)} {rng.choice(_PLACES)}"
    scene = rng.choice(_SCENES)
    shape = rng.randrange(4)
    if shape == 0:
        return f"{rng.choice(_TIMES)}, {act}."
    if shape == 1:
        return f"{_capital(act)} {rng.choice(_LINKS)} {scene}."
    if shape == 2:
        return f"{_capital(scene)} {rng.choice(_LINKS)} {rng.choice(_SCENES)}."
    return f"{rng.choice(_TIMES)} {scene}, {rng.choice(_LINKS)} {act}."


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
