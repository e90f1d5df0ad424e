"""A small shop whose reports take long and whose emails do not."""
