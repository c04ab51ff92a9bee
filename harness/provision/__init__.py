"""What a suite wants from outside: listed, fetched, examined (`harness fetch`, `harness doctor`)."""
