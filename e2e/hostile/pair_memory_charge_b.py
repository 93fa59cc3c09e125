# expect: ok
# property: [tenant][mem][next-run] what run A took (memory, tmpfs, shared memory, pipes) is not charged to the next run of its slot, which gets its whole allowance
# class: tenant-isolation
# pair: pair_memory_charge_a
# pair-order: sequential, B several times: a first
# note: of 512 MB; isolate issue 158 was the same with CPU time

NEED = 330 << 20


def main():
    block = bytearray(NEED)
    for i in range(0, NEED, 4096):
        block[i] = 1
    return len(block) == NEED
