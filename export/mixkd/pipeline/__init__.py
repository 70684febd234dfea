"""What spans the stages: each module a short pipeline over their library functions."""
