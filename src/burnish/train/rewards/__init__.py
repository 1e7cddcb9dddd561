"""Where rewards come from, one file each."""
