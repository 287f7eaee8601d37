"""What became of the batteries of a run: columns of its table of devices, the charge of each group over time, and a sentence."""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from fedtiny.results.record import BATTERIES, CHARGES
from fedtiny.simulation.battery_account import Account
from fedtiny.simulation.trace import Trace


def with_batteries(devices: pa.Table, trace: Trace) -> pa.Table:
    """The table of devices with what became of their batteries; the table itself where nobody has one."""
    if not trace.batteries:
        return devices
    accounts = [trace.batteries.get(number) for number in devices["device"].to_pylist()]
    for name, values in _columns(accounts).items():
        column = BATTERIES.field(name)
        devices = devices.append_column(column, pa.array(values, column.type))
    return devices


def charges_table(trace: Trace) -> pa.Table:
    """The charges of each group with batteries whenever there was a new version of the model; see record.CHARGES."""
    return pa.Table.from_pylist(trace.charges, schema=CHARGES)


def battery_notes(accounts: Mapping[int, Account]) -> list[str]:
    """Who ran empty, in a sentence; none where nobody has a battery."""
    if not accounts:
        return []
    empty = [account for account in accounts.values() if account.away]
    if not empty:
        return [f"None of {len(accounts)} devices with batteries ran empty."]
    times, seconds = sum(len(account.away) for account in empty), sum(_seconds(account) for account in empty)
    who = f"{len(empty)} of {len(accounts)} devices with batteries ran empty"
    return [f"{who}, {times} times in all, and were off for {seconds:.6g} s together."]


def _columns(accounts: Sequence[Account | None]) -> dict[str, list[float | None]]:
    rows = [_row(account) for account in accounts]
    return {name: [row[place] for row in rows] for place, name in enumerate(BATTERIES.names)}


def _row(account: Account | None) -> tuple[float | None, ...]:
    if account is None:
        return (None,) * len(BATTERIES.names)
    spent = (account.capacity, account.initial, account.charged, account.charge)
    return (*spent, len(account.away), _seconds(account))


def _seconds(account: Account) -> float:
    return sum(end - start for start, end in account.away)
