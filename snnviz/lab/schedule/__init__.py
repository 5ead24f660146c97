"""The schedule editor: a timeline, and a field for every setting."""
