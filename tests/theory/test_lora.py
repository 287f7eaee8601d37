"""LoRa: the published times on air, and what a duty cycle makes of an update."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedtiny.fleet.lora import LoRa
from fedtiny.fleet.network import CustomNetwork

SF7 = LoRa(spreading_factor=7, payload=222)
SF12 = LoRa(spreading_factor=12, payload=51)


def test_the_time_on_air_is_the_published_one():
    # 13 bytes in all at SF9, 125 kHz: 164.864 ms, from the test suite of the LoRaWAN module of ns-3
    assert LoRa(spreading_factor=9, payload=13, header=0).airtime(13) == pytest.approx(0.164864, abs=1e-9)


@pytest.mark.parametrize(("lora", "airtime", "elapsed"), [(SF7, 166.0, 4.6 * 3600), (SF12, 5478.0, 152 * 3600)])
def test_an_update_of_100_kB_takes_the_published_time(lora, airtime, elapsed):
    count, last = lora.packets(100_000)
    assert (count - 1) * lora.airtime(lora.payload) + lora.airtime(last) == pytest.approx(airtime, rel=0.003)
    assert lora.seconds(100_000, up=True) == pytest.approx(elapsed, rel=0.005)


@given(st.sampled_from([SF7, SF12]), st.integers(0, 20_000))
def test_over_a_long_time_the_radio_is_on_the_air_for_no_more_than_its_share(lora, size):
    count, last = lora.packets(size)
    on_air = (count - 1) * lora.airtime(lora.payload) + lora.airtime(last)
    assert lora.seconds(size, up=True) + lora.closed(size, up=True) == pytest.approx(on_air / lora.duty_cycle)


@given(st.sampled_from([SF7, SF12]), st.integers(1, 5000), st.floats(0, 1.2), st.booleans())
def test_what_is_sent_grows_packet_by_packet_up_to_all(lora, size, share, up):
    whole = lora.seconds(size, up=up)
    sent = lora.sent(size, share * whole, up=up)
    assert 0 <= sent <= lora.sent(size, (share + 0.1) * whole, up=up) <= size
    assert sent % lora.payload == 0 or sent == size
    assert lora.sent(size, whole, up=up) == size


def test_a_message_down_is_fetched_packet_by_packet():
    # every packet down follows an empty one up and a second; the gateway's duty cycle spaces the packets of 368.9 ms by 36.89 s
    fetch, whole, rest = SF7.airtime(0), SF7.airtime(222), SF7.airtime(56)
    assert SF7.seconds(500, up=False) == pytest.approx(2 * whole / 0.01 + fetch + 1.0 + rest)


def test_rates_and_radios_of_another_kind_say_nothing_beside_lora():
    with pytest.raises(ValueError, match="uplink_sigma says nothing here"):
        CustomNetwork.model_validate(
            {"kind": "custom", "latency": "0 s", "uplink": "48 bit/s", "uplink_sigma": 0.5, "lora": {"spreading_factor": 7, "payload": 222}}
        )
