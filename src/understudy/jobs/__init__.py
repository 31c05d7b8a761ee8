"""What one command, one button or one API call does, start to end."""
