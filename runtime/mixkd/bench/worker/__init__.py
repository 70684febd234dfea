"""The process that answers and is measured: it loads one variant, times it and reads its memory."""
