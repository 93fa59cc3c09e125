# expect: error:exit
# property: [no-forge] exit status 139, by which a shell means a crash by SIGSEGV, is an exit and nothing else
# class: protocol-forgery

import os


def main():
    os._exit(139)
    return None
