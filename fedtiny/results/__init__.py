"""What a run leaves behind: tables, a folder, and the numbers that can be read off them."""
