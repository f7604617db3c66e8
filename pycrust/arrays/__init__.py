"""Arrays and tensors: out, in, built in place, and as annotations.

NumPy and PyTorch are optional: neither is imported before an array of its kind comes or goes.
"""
