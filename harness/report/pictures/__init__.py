"""What is drawn, as SVG and PNG."""
