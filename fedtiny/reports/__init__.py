"""What people see: one self-contained page, its tables and its figures, drawn from run folders alone."""
