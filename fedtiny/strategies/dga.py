"""DGA: Delayed Gradient Averaging (Zhu, Lin, Lu, Lin, Han, NeurIPS 2021, Algorithm 1; https://dga.hanlab.ai).

Clients go on computing while averages travel, and correct themselves when one arrives. K local steps make a round, the
delay D is counted in local steps, eta is the constant rate, s = (D-1)//K, d = ((D-1) mod K) + 1. Client i never resets
its weights; step k of round t is

    w <- w - eta g                                      a plain step, or
    w <- w - eta (g - m^i_{t-1-s} + mbar_{t-1-s})       at k = d, once t-1-s >= 1

with m^i_t the sum of the round's K raw gradients (corrections not included) and mbar_t = sum_i p_i m^i_t. So with
tau the last round that was corrected,

    w^i = w_1 - eta (sum_{t<=tau} mbar_t + all of i's own gradients after round tau),

and the server's model is W_T = w_1 - eta sum_{t<=T} mbar_t.

**On messages.** The update of step d needs the average of round t-1-s; its gradient does not. So a round is two pieces of
work: *before* (steps 1 .. d-1 and the d-th gradient) and *after* (the d-th update, then steps d+1 .. K; it carries the
average and replies the round's sum). ``before(t+1)`` travels in one burst right behind ``after(t)``. This gives the event
recursion finish(n) = max(finish(n-1) + c, arrival of the average), hence the mean period

    K c + max(0, (L - D c) / (s + 1))        for a step time c and a round trip L.

With D = 0, and with `send: early`, one message is one round: correct, K gradients, reply. D = 0 corrects round t after its
last update and before the next gradient, which is FedAvg. `send: early` (D a multiple of K) lets m_t leave before the
wait: the same weights, D/K + 1 rounds in flight, period max(K c, (K c + L)/(D/K + 1)).

**Missing replies** (ours; the paper has full participation). Every client, present or not, later applies
-eta (mbar_t - m^i_t) with m^i_t = 0 where it did no work. With `late: carry`, p_i sum to 1 over the clients *asked* in a
round; a late contribution keeps the weight of its own round and is added to the next average. With `late: drop` the average
is over those that came in time. A client whose message failed is brought back with the whole model: it then holds
w_1 - eta (sum of the averages it should have applied + its own gradients of the rounds after them).

**Mixed fleets** (ours). Where clients train different elements, m^i_t is 0 outside the elements T_i of client i, of element c

    mbar_t[c] = sum over the i with c in T_i of p_i m^i_t[c] / sum of p_j over the clients asked with c in T_j

and every client applies -eta (mbar_t - m^i_t) on all elements, so that one that does not train c follows those who do. With

    w^i[c] = w_1[c] - eta (sum_{t<=tau} mbar_t[c] + all of i's own gradients of c after round tau)

as before, the identities hold element by element: over those who train c, weighted with p_i, the corrections of c sum to 0
and the mean of w^i[c] descends the mean gradient; D = 0 is the mixed FedAvg (running_average.py). They do not hold for the mean
over all clients: those who do not train c lag by the rounds in flight.

**Optimizers and rates** (ours). Let u be what the client's optimizer would subtract: eta_t g with a rate of the round, with
momentum or weight decay eta_t v, or Adam's step. Where steps are not eta times a gradient with one eta for the whole run, clients
send U^i_t, the sum of the round's u, and step d of round t is w <- w - u + U^i_{t-1-s} - Ubar_{t-1-s}. This is Algorithm 1 for plain
SGD at a constant rate; in general every identity holds with u in place of eta g: the corrections of a round sum to 0 (whatever the
rates of the rounds they come from and go to), the mean of the clients goes by the mean u, and W_T = w_1 - sum_{t<=T} Ubar_t. What the
optimizer keeps stays on its client, across pieces and rounds, and is never corrected: with D = 0 this is FedAvg whose clients keep
their momentum.

**Unequal steps** (ours; training/pace.py). With `training.pace: by_speed` client i takes K_i steps in a round, and where the first d are
asked for it takes its first d_i: it corrects s K_i + d_i of its own steps after it sent. m^i is the sum of K_i gradients. Corrections of
a round still sum to 0, and w^i and W_T are as above; the mean of the clients no longer goes by one gradient of each, since they are
at different steps, and W descends about sum p_i K_i f_i. With `by_speed_normalized` client i sends (K / K_i) m^i and still replaces its
own m^i by the average: w^i and W_T are as above, and the corrections no longer sum to 0.
"""

import math
from typing import ClassVar, Literal, Self, cast

from flwr.app import ArrayRecord, ConfigRecord, RecordDict
from flwr.serverapp import Grid
from pydantic import model_validator

from fedtiny.federation.client_work import Client, ClientHalf
from fedtiny.federation.foresight import Course, Foresight
from fedtiny.federation.records import LOCAL_STEPS, array_record, vector_of
from fedtiny.strategies.base import EvaluateFunction, Parts, Strategy
from fedtiny.strategies.collect import wait_for_nodes
from fedtiny.strategies.delay_choice import Delay, DelayChooser, largest
from fedtiny.strategies.dga_client import Correction, answer, foresee
from fedtiny.strategies.dga_orders import Schedule
from fedtiny.strategies.dga_rules import Rules
from fedtiny.strategies.dga_server import DGAServer
from fedtiny.strategies.round_rates import SUMS_UPDATES, rates_of
from fedtiny.strategies.server_average import RunningModel, ServerAverage


class DGA(Strategy):
    """Delayed gradient averaging: local training never waits for the network while the delay covers it."""

    combines_parts: ClassVar[bool] = True
    kind: Literal["dga"] = "dga"
    delay: Delay
    """D: local steps between sending a round's gradients and applying their average; 0 is FedAvg. `auto`: the smallest that hides the
    communication; `drift`: at most that, by what clients drift apart."""
    late: Literal["carry", "drop"] = "carry"
    """What becomes of a contribution that comes after the timeout: added to the next average, or dropped."""
    send: Literal["after_wait", "early"] = "after_wait"
    """When a round's gradients leave: after the last step and its wait (Algorithm 1), or before the wait."""
    correction: Correction = "delayed"
    """What becomes of an average that comes: `delayed` replaces the own sum by it (Algorithm 1). The others are wrong on purpose, to
    measure what the correction is worth: `stale_average` moves by averages alone and never by own gradients (the authors' "without"
    column), `in_upload` sends the corrections that were applied along with the gradients."""

    server_average: ServerAverage | None = None
    """An average of the server's models that is evaluated and kept in place of the last one; clients get what they would without it."""

    @model_validator(mode="after")
    def _folds_into_a_round(self) -> Self:
        if self.send == "early" and not isinstance(self.delay, int):
            raise ValueError("send: early needs a stated delay, a multiple of training.local_steps: state one, or leave out send: early")
        if self.correction == "in_upload" and (self.delay == 0 or self.send == "early"):
            raise ValueError(
                "correction: in_upload needs a delay of 1 or more and send: after_wait: elsewhere a correction comes between two rounds "
                "and is in the upload of neither"
            )
        return self

    def start(
        self,
        grid: Grid,
        initial_arrays: ArrayRecord,
        num_rounds: int,
        train_config: ConfigRecord,
        evaluate_fn: EvaluateFunction,
        parts: Parts | None = None,
    ) -> None:
        """Runs DGA's server; `train_config` also holds `learning-rate` (eta), and what else round_rates.py says. See `Strategy.start`."""
        start, steps = vector_of(initial_arrays), cast(int, train_config[LOCAL_STEPS])
        wait_for_nodes(grid, self.wanted_nodes)
        average = RunningModel(self.server_average)
        server = DGAServer(self._rules(steps, train_config, parts, self.chooser(steps)), grid, start, num_rounds)
        evaluate_fn(0, initial_arrays, 0.0)
        server.push_start()
        for number in range(1, num_rounds + 1):
            server.collect(number)
            evaluate_fn(number, array_record(average.after(number, server.model())), server.lost_mass, server.delay(number))
            server.push_after(number)

    def answer(self, content: RecordDict, state: RecordDict, client: Client) -> ClientHalf:
        """The client's half; see dga_client.py."""
        return answer(content, state, client, self.correction)

    def foresee(self, content: RecordDict, course: Course) -> Foresight:
        """See dga_client.py: no steps where an earlier message that this one builds on was lost."""
        return foresee(content, course)

    def client_vectors(self, local_steps: int) -> int:
        """Own sums under way plus the sum being accumulated; where one message is one round, an own sum goes before the next begins."""
        if self.correction == "stale_average":
            return 1
        return self.rounds_in_flight(local_steps) + (0 if self.one_message(local_steps) else 1)

    def _rules(self, local_steps: int, train_config: ConfigRecord, parts: Parts | None, chooser: DelayChooser | None) -> Rules:
        rates = rates_of(train_config)
        updates = bool(train_config.get(SUMS_UPDATES))
        return Rules(
            schedule=self.schedule(local_steps, chooser),
            chooser=chooser,
            rate=1.0 if updates or self.correction == "stale_average" else rates(1),
            rates=rates,
            sums_updates=updates,
            carry=self.late == "carry",
            timeout=self.timeout,
            weight_key=self.weight_key,
            cohort_size=self.cohort_size,
            wanted_nodes=self.wanted_nodes,
            parts=parts,
        )

    def chooser(self, local_steps: int) -> DelayChooser | None:
        """What chooses the delays of one run; None where the delay is stated."""
        return None if isinstance(self.delay, int) else DelayChooser(self.delay, local_steps)

    def schedule(self, local_steps: int, chooser: DelayChooser | None) -> Schedule:
        """Where in a round of so many steps the averages are applied."""
        if chooser is not None:
            return Schedule(local_steps, whole=False, delay=chooser.delay, measures=True)
        return Schedule.constant(local_steps, self.largest_delay(local_steps), whole=self.one_message(local_steps))

    def largest_delay(self, local_steps: int) -> int:
        """The delay that is stated, or the largest that may be chosen."""
        return largest(self.delay, local_steps)

    def rounds_in_flight(self, local_steps: int) -> int:
        """Rounds whose averages a client still lacks right after it sent one: ceil(D/K), or D/K + 1 where one message is one round."""
        if self.one_message(local_steps):
            return self.largest_delay(local_steps) // local_steps + 1
        return math.ceil(self.largest_delay(local_steps) / local_steps)

    def one_message(self, local_steps: int) -> bool:
        """Whether one message makes a round: D = 0 or `send: early`."""
        return self.delay == 0 or self.send == "early"
