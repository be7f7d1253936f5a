"""Several processes on one work: where they run, who starts them, here or on Ray, and how they meet."""
