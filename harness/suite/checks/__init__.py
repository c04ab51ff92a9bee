"""What needs several fields or the catalogue; a file a part of the suite."""
