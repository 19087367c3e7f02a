"""Property tests of conversions between every two formats."""
