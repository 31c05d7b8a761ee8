"""Network parts that two families really share."""
