# expect: ok|error:exception|error:protocol|error:exit|error:killed|error:timeout
# property: [no-forge][no-secret][well-formed][next-run] through the frames below main user code reaches no socket, order or other request, and what it breaks there is its own answer
# class: interpreter-abuse

import sys


def main():
    frame, texts = sys._getframe(), []
    while frame is not None:
        for name, value in list(frame.f_locals.items()):
            texts.append(f"{frame.f_code.co_name}.{name}: {type(value).__name__}")
            if isinstance(value, dict) and frame.f_code.co_name != "main":
                value.clear()
        frame = frame.f_back
    return texts
