"""What must hold of memory and time for every network, whatever its layers."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedtiny.costs.compute import step_macs, step_seconds
from fedtiny.costs.memory import tinytl_memory
from fedtiny.fleet.device import DeviceProfile, Rates
from fedtiny.models.summary import LayerFacts, ModelSummary, ParameterFacts
from fedtiny.updates.plan import UpdatePlan
from fedtiny.updates.schemes import SCHEMES

# a busy machine is slow, which says nothing about what is tested
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)

OPERATORS = ("convolution", "linear", "normalization", "relu", "smooth_activation", "other")
RATE_CLASS = {"convolution": ("dense_convolution", "depthwise"), "linear": ("dense_gemm",)}
ELEMENTS = st.integers(1, 500)


@st.composite
def layers(draw, number, operator, section="backbone", final_in_lite=False, most_bias=9):
    weight = draw(ELEMENTS) if operator in ("convolution", "linear", "normalization") else 0
    bias = weight if operator == "normalization" or not weight else draw(st.integers(0, most_bias))
    sizes = {"weight": weight, "bias": bias}
    return LayerFacts(
        name=f"layer{number}",
        operator=operator,
        section=section,
        input_elements=draw(ELEMENTS),
        output_elements=draw(ELEMENTS),
        groups=draw(st.sampled_from((1, 2, 8))),
        macs=draw(ELEMENTS) if operator in RATE_CLASS else 0,
        rate_class=draw(st.sampled_from(RATE_CLASS[operator])) if operator in RATE_CLASS else None,
        parameters=tuple(ParameterFacts(f"layer{number}.{role}", elements, role) for role, elements in sizes.items() if elements),
        residual_elements=draw(st.sampled_from((0, 40))),
        upstream=tuple(index for index in range(number) if draw(st.booleans())),
        final_in_lite=final_in_lite,
    )


@st.composite
def networks(draw, most_bias=9):
    operators = draw(st.lists(st.sampled_from(OPERATORS), min_size=1, max_size=8))
    body = [draw(layers(number, operator, most_bias=most_bias)) for number, operator in enumerate(operators)]
    body.append(draw(layers(len(body), "convolution", section="lite_residual", most_bias=most_bias)))
    body.append(draw(layers(len(body), "normalization", section="lite_residual", final_in_lite=True)))
    body.append(draw(layers(len(body), "linear", section="head")))
    return ModelSummary(model="drawn", input_shape=(1, 1, 1), classes=2, layers=tuple(body))


@st.composite
def less_and_more(draw):
    """A network and two plans for it, the second of which trains all that the first does."""
    summary = draw(networks())
    names = [parameter.name for parameter in summary.parameters]
    more = [name for name in names if draw(st.booleans())]
    less = [name for name in more if draw(st.booleans())]
    backward = draw(st.sampled_from(((False, False), (False, True), (True, True))))
    return summary, *(UpdatePlan("drawn", tuple(plan), needs) for plan, needs in zip((less, more), backward, strict=True))


@st.composite
def devices(draw):
    rate = st.integers(1, 10**6).map(lambda number: f"{number} MAC/s")
    rates = Rates(dense_gemm=draw(rate), dense_convolution=draw(rate), depthwise=draw(rate), recurrent=draw(rate))
    bandwidth = draw(st.none() | st.integers(1, 10**6).map(lambda number: f"{number} B/s"))
    return DeviceProfile(name="drawn", memory="1 MB", device_class="test", rates=rates, memory_bandwidth=bandwidth)


@unhurried
@given(less_and_more(), st.integers(1, 64))
def test_more_training_never_needs_less_memory(drawn, batch_size):
    summary, less, more = drawn
    assert tinytl_memory(summary, less, batch_size).total_bytes <= tinytl_memory(summary, more, batch_size).total_bytes


@unhurried
@given(networks(most_bias=0), st.integers(1, 64))
def test_the_published_schemes_are_ordered_in_memory_where_convolutions_carry_no_bias(summary, batch_size):
    plans = {plan.scheme: plan for plan in (update.plan(summary) for update in SCHEMES)}
    memory = {scheme: tinytl_memory(summary, plan, batch_size).total_bytes for scheme, plan in plans.items()}
    assert memory["last"] <= memory["bias"] <= memory["tinytl"] <= memory["full"]
    assert memory["bias"] <= memory["norm_last"] <= memory["full"]
    assert memory["last"] <= memory["tinytl_lite_residual"] <= memory["full"]


@unhurried
@given(less_and_more(), st.integers(1, 64))
def test_memory_is_affine_in_the_batch_to_the_byte(drawn, batch_size):
    summary, plan, _ = drawn
    eight, many = tinytl_memory(summary, plan, 8), tinytl_memory(summary, plan, 8 * batch_size)
    assert many.activation_bytes == batch_size * eight.activation_bytes
    assert many.parameter_bytes == eight.parameter_bytes


@unhurried
@given(less_and_more(), st.integers(1, 64), st.integers(0, 6))
def test_the_items_always_add_up_to_the_total(drawn, batch_size, client_vectors):
    summary, plan, _ = drawn
    ledger = tinytl_memory(summary, plan, batch_size, client_vectors=client_vectors)
    assert sum(ledger.items.values()) == ledger.total_bytes
    assert ledger.total_bytes == ledger.parameter_bytes + ledger.activation_bytes + ledger.client_vectors
    assert all(item >= 0 for item in ledger.items.values())


@unhurried
@given(less_and_more(), st.integers(1, 64), devices())
def test_more_training_is_never_faster(drawn, batch_size, device):
    summary, less, more = drawn
    assert step_seconds(summary, less, batch_size, device) <= step_seconds(summary, more, batch_size, device)
    macs = step_macs(summary, more)
    assert all(count <= macs[rate_class] for rate_class, count in step_macs(summary, less).items())


@unhurried
@given(less_and_more(), st.integers(1, 63), devices())
def test_a_larger_batch_is_never_faster_and_never_slower_per_sample(drawn, batch_size, device):
    summary, plan, _ = drawn
    small, large = (step_seconds(summary, plan, size, device) for size in (batch_size, batch_size + 1))
    assert small <= large
    assert large / (batch_size + 1) <= small / batch_size * (1 + 1e-12)


@unhurried
@given(less_and_more(), st.integers(1, 64), devices(), st.integers(1, 10**6))
def test_more_bandwidth_is_never_slower(drawn, batch_size, device, extra):
    summary, plan, _ = drawn
    bounded = device.model_copy(update={"memory_bandwidth": 1000.0})
    faster = device.model_copy(update={"memory_bandwidth": 1000.0 + extra})
    unbounded = device.model_copy(update={"memory_bandwidth": None})
    times = [step_seconds(summary, plan, batch_size, profile) for profile in (bounded, faster, unbounded)]
    assert times == sorted(times, reverse=True)


@unhurried
@given(networks())
def test_a_full_step_costs_at_most_three_forward_passes(summary):
    full = SCHEMES[0].plan(summary)
    assert summary.forward_macs <= sum(step_macs(summary, full).values()) <= 3 * summary.forward_macs
