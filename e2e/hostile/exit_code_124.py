# expect: error:exit
# property: [no-forge] exit status 124, by which a shell means a timeout, is an exit and nothing else
# class: protocol-forgery

import os


def main():
    os._exit(124)
    return None
