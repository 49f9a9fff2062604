# Vowpal Wabbit beside Regie: decisions and single updates a CPU-second for 10 actions x 20 features, examples parsed from text as its
# command line does. `python3 -m venv v && v/bin/pip install vowpalwabbit && v/bin/python vw.py`
import random
import time

import vowpalwabbit

random.seed(1)
ACTIONS, FEATURES, COUNT = 10, 20, 20_000


def rows():
    return [" ".join(f"f{n}:{random.random():.3f}" for n in range(FEATURES)) for _ in range(500)]


def timed(work):
    start = time.process_time()
    work()
    return COUNT / (time.process_time() - start)


vw = vowpalwabbit.Workspace(f"--cb_explore {ACTIONS} --bag 4 --quiet")
contexts = rows()
updates = timed(lambda: [vw.learn(f"{n % ACTIONS + 1}:0:0.1 | {contexts[n % 500]}") for n in range(COUNT)])
decisions = timed(lambda: [vw.predict(f"| {contexts[n % 500]}") for n in range(COUNT)])
print(f"{'10 actions x 20 features':<28} {'vowpalwabbit':<22} {decisions:>14.0f} {updates:>14.0f}")
vw = vowpalwabbit.Workspace(f"--cb_explore {ACTIONS} --epsilon 0.1 --quiet")
updates = timed(lambda: [vw.learn(f"{n % ACTIONS + 1}:0:0.1 | {contexts[n % 500]}") for n in range(COUNT)])
decisions = timed(lambda: [vw.predict(f"| {contexts[n % 500]}") for n in range(COUNT)])
print(f"{'':<28} {'vowpalwabbit, epsilon':<22} {decisions:>14.0f} {updates:>14.0f}")
