# expect: ok
# property: [deadline][no-procs] output/ being a FIFO, a socket or a file does not hang the collection
# class: filesystem
# note: its text names output/, so it is run with details: what is collected must be the run's own

import os

# In the place of output/ stands a pipe that nobody writes to.


def main():
    os.mkfifo("output")
    return True
