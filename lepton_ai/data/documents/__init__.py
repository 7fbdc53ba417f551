"""Documents: any files, kept as they are, in named, versioned sets that are queried like tables."""
