"""What people read: tables, numbers, names."""
