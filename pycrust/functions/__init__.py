"""Python functions taken apart: what they are made of, copies of them, whether they have changed."""
