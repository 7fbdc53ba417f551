"""PDF: what a document says, wherever in the file it says it."""
