"""A section a file, the same two functions in each: `markdown(report)` and `page(report)`; `order.py` lists them."""
