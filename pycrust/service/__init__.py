"""An endpoint's life: its worker, its options, beginning and ending to serve."""
