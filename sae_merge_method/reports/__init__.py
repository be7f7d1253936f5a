"""How results are shown: tables, numbers, Markdown, pages, figures."""
