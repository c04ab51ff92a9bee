"""The main thread ends, daemon threads never do, and nobody waits for them."""
# ruff: noqa

import threading


def spin():
    while True:
        pass


threading._shutdown = lambda: None
threading.Thread(target=spin, daemon=True).start()
