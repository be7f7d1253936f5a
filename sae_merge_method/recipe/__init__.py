"""The second stage: from a diagnosis to a mergekit recipe that says what it does and why."""
