"""The main thread ends, another never does."""
# ruff: noqa

import threading
import time

threading.Thread(target=time.sleep, args=(1000,)).start()
