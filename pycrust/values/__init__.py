"""What crosses beside plain data: arrays and tensors, moments, single values of NumPy; and why something cannot."""
