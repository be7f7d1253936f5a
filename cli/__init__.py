"""The ``sae-merge`` command: one file per sub-command, each named like its stage."""
