# expect: ok
# property: [distinct] random bytes, uuids, temporary names, hashes of objects' ids and generators seeded by nothing differ from run to run of the same slot
# class: interpreter-abuse

import os, random, secrets, tempfile, uuid


def main():
    return {"random": random.random(), "instance": random.Random().random(), "secrets": secrets.token_hex(16), "uuid1": uuid.uuid1().hex, "uuid4": uuid.uuid4().hex,
            "name": tempfile.mktemp(), "system": random.SystemRandom().random(), "urandom": os.urandom(16).hex()}
