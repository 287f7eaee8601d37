import json

import pytest

from fedtiny.errors import CatalogError
from fedtiny.scenario.catalog import FAMILIES, catalog_document, catalog_entry, catalog_rows


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_rows_and_a_json_document_of_the_same_entries(family):
    rows, document = catalog_rows(family), catalog_document(family)
    # a mix has a row for each of its classes
    assert list(dict.fromkeys(next(iter(row.values())) for row in rows)) == list(document)
    assert json.loads(json.dumps(document)) == document
    name = next(iter(document))
    assert catalog_entry(family, name) == document[name]


def test_numbers_of_devices_and_networks_come_with_their_sources():
    entry = catalog_entry("devices", "raspberry_pi_4")
    assert set(entry["memory"]) == {"value", "evidence", "sources", "note"}
    assert set(entry["memory"]["sources"]) <= set(entry["sources"])
    assert catalog_entry("networks", "lte_driving")["latency"]["value"].endswith("ms")


@pytest.mark.parametrize(
    ("family", "name", "message"),
    [
        ("device", None, "did you mean 'devices'"),
        ("strategies", "fedavgg", "did you mean 'fedavg'"),
        ("devices", "raspberry", "the catalog has no device 'raspberry'"),
        ("networks", "lte", "the catalog has no network 'lte'"),
    ],
)
def test_what_the_catalog_lacks_is_an_error_with_the_nearest(family, name, message):
    with pytest.raises(CatalogError) as caught:
        catalog_entry(family, name) if name else catalog_rows(family)
    assert message in str(caught.value)
