"""The Python side of the sandbox: zygote, slot, child, and what they run."""
