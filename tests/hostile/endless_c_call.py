"""Never leaves one call of C, and no signal gets through."""
# ruff: noqa

import signal

for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
sum(iter(int, 1))
