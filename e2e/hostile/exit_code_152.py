# expect: error:exit
# property: [no-forge] exit status 152, by which a shell means a death by SIGXCPU, is an exit and nothing else
# class: protocol-forgery

import os


def main():
    os._exit(152)
    return None
