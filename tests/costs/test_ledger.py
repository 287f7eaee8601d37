from fedtiny.costs.ledger import Moment, ledger_of


def test_the_peak_of_a_step_is_the_first_of_its_largest_moments():
    small, large, as_large = (
        Moment(layer, "forward", {"saved_activations": saved, "frozen_parameters": 3})
        for layer, saved in (("first", 1), ("second", 5), ("third", 5))
    )
    ledger = ledger_of("by_hand", 2, (small, large, as_large))
    assert ledger.peak_layer == "second"
    assert ledger.total_bytes == 8
    assert ledger.items == large.items


def test_parameters_and_activations_are_the_sums_of_their_items():
    items = {
        "trainable_parameters": 1,
        "frozen_parameters": 2,
        "saved_activations": 4,
        "transient_activations": 8,
        "residual_activations": 16,
        "gradients": 32,
    }
    ledger = ledger_of("by_hand", 1, (Moment("only", "backward", items),))
    assert ledger.parameter_bytes == 3
    assert ledger.activation_bytes == 28
    assert ledger.total_bytes == 63
