"""Problems, rows of results, and summaries of rows."""
