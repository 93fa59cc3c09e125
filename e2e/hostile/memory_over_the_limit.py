# expect: error:memory|error:exception|error:killed
# property: [mem][health][next-run] half as much again as the default limit, touched at once, is not to be had
# class: resource

STEP_MB = 64
LIMIT_MB = 768


def main():
    hoard, mb = [], 0
    while mb < LIMIT_MB:
        block = bytearray(STEP_MB << 20)
        block[::4096] = b"x" * len(block[::4096])
        hoard.append(block)
        mb += STEP_MB
    return {"contained": False, "mb": mb}
