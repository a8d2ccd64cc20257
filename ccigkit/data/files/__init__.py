"""Images and tables in files: read, matched, cut, kept."""
