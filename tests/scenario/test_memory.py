import pytest

from fedtiny.errors import ModelError, ScenarioError
from fedtiny.scenario.memory import memory_document, memory_rows


def document(model="mcunet_5fps", update=None, input_shape="3,32,32", **more):
    return memory_document(model, update, 2, input_shape, 10, **more)


def test_without_an_update_all_schemes_are_side_by_side():
    made = document()
    assert [row["update"] for row in made["schemes"]] == ["full", "last", "norm_last", "bias", "tinytl_lite_residual", "tinytl"]
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


@pytest.mark.parametrize("shape", ["3,32", "3,32,32,1", "3,0,32", "a,b,c", "", "-3,32,32"])
def test_an_input_that_is_no_shape_is_refused(shape):
    with pytest.raises(ScenarioError, match=r"--input: expected channels,height,width"):
        document(input_shape=shape)


def test_own_code_needs_permission(tmp_path):
    path = tmp_path / "net.py"
    path.write_text("raise RuntimeError('this ran')")
    with pytest.raises(ScenarioError, match="--allow-code"):
        document(f"{{kind: python, path: {path}, name: Net}}")
    with pytest.raises(ModelError, match="this ran"):
        document(f"{{kind: python, path: {path}, name: Net}}", allow_code=True)


def test_rows_are_texts_and_leave_out_what_nobody_needs():
    rows = memory_rows(document())
    assert all(isinstance(text, str) for row in rows for text in row.values())
    assert rows[0]["update"] == "full"
    assert "client_vectors" not in rows[0]
