from dataclasses import replace

import pytest

from fedtiny.errors import CatalogError, ModelError, ScenarioError
from fedtiny.fleet.catalog import load_device
from fedtiny.reports.quantities import size
from fedtiny.scenario.memory import MemoryQuestion, memory_answer, memory_rows, write_memory_plot

SCHEMES = ["full", "last", "norm_last", "bias", "tinytl_lite_residual", "tinytl"]
PUBLISHED = [f"mcunet_5fps_{label}" for label in ("49kb", "74kb", "99kb", "124kb", "148kb")]


def answer(model="mcunet_5fps", update=None, input_shape="3,32,32", accounting="tinytl", **more):
    return memory_answer(MemoryQuestion(model=model, update=update, batch_size=2, input_shape=input_shape, accounting=accounting, **more))


def document(*arguments, **named):
    return answer(*arguments, **named).document


@pytest.fixture(scope="module")
def side_by_side():
    return answer("small_cnn", accounting=None, measure=True)


def test_without_an_update_all_schemes_are_side_by_side_and_the_published_ones_of_the_network():
    made = document()
    assert [row["update"] for row in made["schemes"]] == SCHEMES + PUBLISHED
    assert {key: made[key] for key in ("model", "accounting", "batch_size", "input", "classes")} == {
        "model": "mcunet_5fps",
        "accounting": "tinytl",
        "batch_size": 2,
        "input": [3, 32, 32],
        "classes": 10,
    }


def test_schemes_that_a_network_cannot_have_are_left_out_but_refused_when_named():
    assert [row["update"] for row in document("linear")["schemes"]] == ["full", "last", "norm_last", "bias"]
    with pytest.raises(ModelError):
        document("linear", "tinytl")


def test_an_update_is_a_part_or_a_kind_alone():
    assert [row["update"] for row in document(update="{kind: tinytl, bias: false}")["schemes"]] == ["tinytl_lite_residual"]
    assert [row["update"] for row in document(update="{kind: tinytl, lite_residual: false}")["schemes"]] == ["bias"]


def test_lite_residual_modules_are_the_models_key():
    with_modules, without = (document(update="bias", lite_residual=choice)["schemes"][0] for choice in (True, False))
    assert with_modules["lite_residual"]
    assert with_modules["parameters"] > without["parameters"]
    assert document("{kind: mobilenet_v2, width: 0.35}", "bias", lite_residual=True)["schemes"][0]["lite_residual"]


def test_every_accounting_stands_beside_the_others_and_what_a_real_step_took_is_what_autograd_predicts(side_by_side):
    for row in side_by_side.document["schemes"]:
        assert list(row["accountings"]) == ["tinytl", "mcu", "autograd", "measured"]
        totals = {name: entry["total_bytes"] for name, entry in row["accountings"].items()}
        assert all(sum(entry["items"].values()) == entry["total_bytes"] for entry in row["accountings"].values())
        assert row["total_bytes"] == totals["tinytl"]
        assert totals["measured"] == pytest.approx(totals["autograd"], rel=0.02)
        assert max(totals["mcu"], totals["tinytl"]) < totals["autograd"], "PyTorch keeps more than either says is needed"


@pytest.mark.parametrize("accounting", ["tinytl", "mcu", "autograd"])
def test_one_accounting_alone_is_all_that_is_reckoned(accounting):
    made = document("small_cnn", "bias", accounting=accounting)
    row = made["schemes"][0]
    assert made["accounting"] == accounting
    assert list(row["accountings"]) == [accounting]
    assert row["items"] == row["accountings"][accounting]["items"]
    assert sum(row["items"].values()) == row["total_bytes"]


@pytest.mark.parametrize(("delay", "vectors"), [(5, 2), (20, 5)])
@pytest.mark.parametrize("accounting", ["tinytl", "mcu", "autograd"])
def test_the_gradient_sums_that_wait_on_the_device_are_counted_in_full(accounting, delay, vectors):
    given = {"strategy": f"{{kind: dga, delay: {delay}}}", "local_steps": 5, "accounting": accounting}
    plain, waiting = document("small_cnn", "full", accounting=accounting), document("small_cnn", "full", **given)
    trained = plain["schemes"][0]["trainable_parameters"]
    assert waiting["schemes"][0]["items"]["client_vectors"] == vectors * 4 * trained
    assert waiting["schemes"][0]["total_bytes"] - plain["schemes"][0]["total_bytes"] == vectors * 4 * trained
    assert document("small_cnn", "full", strategy="fedavg", accounting=accounting) == plain


def test_an_optimizers_state_is_counted_by_autograd_alone():
    plain, adam = (document("small_cnn", "full", optimizer=kind, accounting=None)["schemes"][0] for kind in ("sgd", "adam"))
    assert adam["accountings"]["tinytl"] == plain["accountings"]["tinytl"]
    assert adam["accountings"]["autograd"]["items"]["optimizer_state"] == 2 * 4 * plain["trainable_parameters"] + 4
    assert plain["accountings"]["autograd"]["items"]["optimizer_state"] == 0


@pytest.mark.parametrize("shape", ["3,32", "3,32,32,1", "3,0,32", "a,b,c", "", "-3,32,32"])
def test_an_input_that_is_no_shape_is_refused(shape):
    with pytest.raises(ScenarioError, match=r"--input: expected channels,height,width"):
        document(input_shape=shape)


@pytest.mark.parametrize("shape", ["3,100000,100000", "3,1,1000000000000", "99999999999999999999,1,1"])
def test_an_absurd_input_is_refused_before_torch_sees_it(shape):
    with pytest.raises(ScenarioError, match=r"--input: a sample of .* numbers, and FedTiny looks at networks with at most 4,194,304"):
        document(input_shape=shape)


def test_absurdly_many_classes_are_refused():
    with pytest.raises(ScenarioError, match="--classes: at most 1,000,000, found 1,000,000,000"):
        document(classes=10**9)


def test_a_step_that_this_machine_cannot_take_is_not_measured():
    with pytest.raises(
        ScenarioError, match=r"--measure: a step of update full takes about .*TB, and this machine has .*lower --batch-size"
    ):
        memory_answer(MemoryQuestion("small_cnn", "full", batch_size=10**8, input_shape="3,32,32", accounting="autograd", measure=True))


def test_own_code_needs_permission(tmp_path):
    path = tmp_path / "net.py"
    path.write_text("raise RuntimeError('this ran')")
    with pytest.raises(ScenarioError, match="--allow-code"):
        document(f"{{kind: python, path: {path}, name: Net}}")
    with pytest.raises(ModelError, match="this ran"):
        document(f"{{kind: python, path: {path}, name: Net}}", allow_code=True)


def test_rows_are_texts_and_leave_out_what_nobody_needs(side_by_side):
    rows = memory_rows(side_by_side.document)
    assert all(isinstance(text, str) for row in rows for text in row.values())
    assert list(rows[0])[:6] == ["update", "trained", "tinytl", "mcu", "autograd", "measured"]
    assert "client_vectors" not in rows[0]


@pytest.mark.parametrize(("name", "start"), [("step.svg", b"<?xml"), ("step.png", b"\x89PNG")])
def test_the_step_is_drawn_as_the_name_of_the_file_says(name, start, side_by_side, tmp_path):
    write_memory_plot(side_by_side, tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)


def test_a_plot_of_another_kind_is_refused(side_by_side, tmp_path):
    with pytest.raises(ScenarioError, match=r"--plot: expected a name that ends in \.svg or \.png, found step\.jpg"):
        write_memory_plot(side_by_side, tmp_path / "step.jpg")


def test_a_device_of_the_catalog_says_what_fits_and_what_pages():
    asked = MemoryQuestion(model="proxylessnas_mobile", update="full", batch_size=64, accounting="tinytl")
    plain = memory_answer(asked).document
    (row,) = plain["schemes"]
    assert not {"fits", "paged_bytes"} & set(row)
    for name, pages in (("raspberry_pi_zero_2w", True), ("raspberry_pi_5", False), ("stm32f746", False)):
        document = memory_answer(replace(asked, device=name)).document
        (row,), device = document["schemes"], load_device(name)
        excess = row["total_bytes"] - device.memory
        assert row["paged_bytes"] == (excess if pages else 0)
        assert row["paging_seconds"] == pytest.approx(excess / 17.1e6 + excess / 45.5e6 if pages else 0.0)
        assert row["fits"] == (name != "stm32f746")
        verdict = memory_rows(document)[0][f"on {name} ({size(device.memory)})"]
        assert verdict.startswith("pages " if pages else "fits" if row["fits"] else "does not fit")


def test_a_device_that_the_catalog_does_not_have_is_named():
    with pytest.raises(CatalogError, match="no device 'raspberry_pi_6'"):
        memory_answer(MemoryQuestion(model="linear", input_shape="1,8,8", device="raspberry_pi_6"))
