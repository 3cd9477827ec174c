"""Networks, one file each: `build(**numbers)` makes one, with first weights that depend on `seed` alone."""
