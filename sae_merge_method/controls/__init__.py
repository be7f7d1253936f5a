"""The controls stage: from one stethoscope recipe, the recipes that any claim about it needs beside it."""
