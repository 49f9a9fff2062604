#!/usr/bin/env python3
"""Makes vectors.json: the log's formats as the Python packages aics-tlog and aics-witness write them.

    pip install aics-tlog aics-witness      (Python 3.12 or later)
    python3 make_vectors.py > vectors.json

Ours is checked against what comes out; nothing of ours goes in.
"""
import base64
import json
import os
import tempfile

import aics_tlog as tlog
import aics_witness as witness
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ORIGIN = "record.example/log"
WITNESS = "witness.example/aics"
NOW = 1_790_000_000
SIZES = [1, 2, 3, 7, 8, 255, 256, 257, 600]


def b64(data):
    return base64.b64encode(data).decode()


leaves = [b"leaf %d" % i for i in range(SIZES[-1])]
log_key = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
witness_key = Ed25519PrivateKey.from_private_bytes(bytes([2]) * 32)
log_vkey = tlog.vkey_from_ed25519(ORIGIN, log_key.public_key())

roots, notes = {}, {}
for size in SIZES:
    tree = tlog.MerkleTree(leaves[:size])
    roots[size] = b64(tree.root())
    checkpoint = tlog.Checkpoint(ORIGIN, size, tree.root())
    notes[size] = tlog.sign_checkpoint(checkpoint, log_key, ORIGIN).serialise()
    if isinstance(notes[size], bytes):
        notes[size] = notes[size].decode()

tree = tlog.MerkleTree(leaves)
inclusion = {i: [b64(h) for h in tree.inclusion_proof(i, 600)] for i in (0, 255, 256, 599)}
consistency = [[a, b, [b64(h) for h in tree.consistency_proof(a, b)]] for a, b in ((1, 2), (3, 7), (7, 8), (255, 257), (256, 600))]

# A witness that answers what it is sent.
answers = []
with tempfile.TemporaryDirectory() as folder:
    store = witness.WitnessStore(os.path.join(folder, "w.db"), create=True)
    config = witness.LogConfig.from_strings(ORIGIN, [tlog.format_vkey(log_vkey)])
    service = witness.Witness(WITNESS, witness_key, store, [config], clock=lambda: float(NOW))
    for old, new in ((0, 7), (7, 257), (3, 600), (257, 600), (600, 600)):
        proof = "".join(b64(h) + "\n" for h in tree.consistency_proof(old, new)) if 0 < old < new else ""
        body = "old %d\n%s\n%s" % (old, proof, notes[new])
        try:
            status, text = 200, service.add_checkpoint(body.encode()).decode()
        except witness.WitnessError as error:
            status, text = int(getattr(error, "status", 0)), (getattr(error, "body", b"") or b"").decode()
        answers.append({"request": body, "status": status, "answer": text})
    vkey = service.vkey_text
    witness_vkey = vkey() if callable(vkey) else vkey

print(json.dumps({
    "made_with": "aics-tlog and aics-witness", "origin": ORIGIN, "log_vkey": tlog.format_vkey(log_vkey), "witness_vkey": witness_vkey,
    "now_s": NOW, "roots": roots, "notes": notes, "inclusion": inclusion, "consistency": consistency, "answers": answers,
}, indent=1))
