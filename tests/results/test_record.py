from fedtiny.results.record import ACTIVITIES, DEVICES, LABELS, ROUNDS


def test_the_tables_have_the_promised_columns():
    assert ROUNDS.names == [
        *("round", "virtual_time", "accuracy", "loss", "participants", "failures"),
        *("bytes_up", "bytes_down", "energy", "bottleneck_device", "bottleneck_cause", "delay"),
    ]
    assert ACTIVITIES.names == [
        *("device", "round", "kind", "start", "end", "arrival", "bytes"),
        *("payload_bytes", "macs", "energy", "outcome"),
    ]
    assert DEVICES.names == [
        *("device", "group", "profile", "network", "scheme", "scheme_reason", "examples", "label_examples", "memory_budget"),
        *("peak_memory", "status", "rounds", "stall_time", "idle_time", "energy"),
    ]
    assert LABELS.names == ["round", "label", "examples", "correct"]
