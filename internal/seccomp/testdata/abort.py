"""abort() ends the process by SIGABRT, also from a thread."""

import os
import threading


def main():
    threading.Thread(target=os.abort).start()
    threading.Event().wait(5)
    return "alive"
