"""A client of a secure sum: agrees on seeds with all others, sends a masked vector, and unmasks who is gone."""

import hashlib

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()
PRIME, BASE, MODULUS = 2**61 - 1, 3, 2**32


def mask(seed, size):
    return np.random.default_rng(seed).integers(0, MODULUS, size=size, dtype=np.uint64)


@app.query("setup")
def setup(msg: Message, context: Context) -> Message:
    me = context.node_config["partition-id"]
    secret = int.from_bytes(hashlib.sha256(f"secret of {me}".encode()).digest()[:7], "big")
    context.state["keys"] = ConfigRecord({"secret": secret, "me": me})
    return Message(RecordDict({"key": ConfigRecord({"me": me, "public": pow(BASE, secret, PRIME)})}), reply_to=msg)


@app.query("share_keys")
def share_keys(msg: Message, context: Context) -> Message:
    others = msg.content["keys"]
    secret, me = context.state["keys"]["secret"], context.state["keys"]["me"]
    seeds = [pow(public, secret, PRIME) for public in others["public"]]
    context.state["seeds"] = ConfigRecord({"who": list(others["who"]), "seed": seeds})
    return Message(RecordDict({"done": ConfigRecord({"me": me, "keys": len(seeds)})}), reply_to=msg)


@app.train("masked_upload")
def masked_upload(msg: Message, context: Context) -> Message:
    me, seeds = context.state["keys"]["me"], context.state["seeds"]
    if me in msg.content["config"]["fail"]:
        raise RuntimeError(f"client {me} fails before its upload")
    size = msg.content["config"]["size"]
    vector = np.arange(size, dtype=np.uint64) * np.uint64(me + 1)
    for who, seed in zip(seeds["who"], seeds["seed"], strict=True):
        if who != me:
            vector = (vector + mask(seed, size) if who > me else vector - mask(seed, size)) % MODULUS
    return Message(RecordDict({"arrays": ArrayRecord([vector]), "who": ConfigRecord({"me": me})}), reply_to=msg)


@app.query("unmask")
def unmask(msg: Message, context: Context) -> Message:
    gone, me = msg.content["gone"]["who"], context.state["keys"]["me"]
    seeds = dict(zip(context.state["seeds"]["who"], context.state["seeds"]["seed"], strict=True))
    told = ConfigRecord({"me": me, "who": list(gone), "seed": [seeds[who] for who in gone]})
    return Message(RecordDict({"seeds": told}), reply_to=msg)
