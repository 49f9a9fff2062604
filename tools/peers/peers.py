"""Peers written in Python or called from it, beside Regie: decisions and single updates a CPU-second on one core.

`cargo run --release` in this folder runs this file too, with the Python of a `venv` beside it
(`python3 -m venv venv && venv/bin/pip install numpy vowpalwabbit mabwiser river`). What is not installed is named and skipped.
Vowpal Wabbit is its own native code; examples are parsed from text, as its command line does.
"""
import importlib
import random
import time

ACTIONS, FEATURES = 10, 20
random.seed(1)


def rate(work, least=1, cap=1_000_000):
    """How many a CPU-second: the count doubles until a quarter of a second has passed."""
    count = least
    while True:
        start = time.process_time()
        work(count)
        spent = time.process_time() - start
        if spent > 0.25 or count >= cap:
            return count / max(spent, 1e-9)
        count *= 2


def row(what, who, decisions, updates):
    print(f"{what:<28} {who:<22} {decisions:>14.0f} {updates:>14.0f}", flush=True)


def numpy_thompson(arms):
    np = importlib.import_module("numpy")
    generator = np.random.default_rng(1)
    alpha, beta = np.ones(arms), np.full(arms, 99.0)

    def update(count):
        for n in range(count):
            arm = n * 7919 % arms
            alpha[arm] += n % 64 == 0
            beta[arm] += n % 64 != 0

    return rate(lambda count: [int(generator.beta(alpha, beta).argmax()) for _ in range(count)]), rate(update)


def mabwiser_thompson(arms):
    mab = importlib.import_module("mabwiser.mab")
    np = importlib.import_module("numpy")
    bandit = mab.MAB(arms=list(range(arms)), learning_policy=mab.LearningPolicy.ThompsonSampling())
    bandit.fit(np.arange(arms), np.arange(arms) % 2)
    arm, reward = np.array([3]), np.array([1])
    return (
        rate(lambda count: [bandit.predict() for _ in range(count)]),
        rate(lambda count: [bandit.partial_fit(arm, reward) for _ in range(count)]),
    )


def river_thompson(arms):
    bandit = importlib.import_module("river.bandit")
    proba = importlib.import_module("river.proba")
    policy = bandit.ThompsonSampling(reward_obj=proba.Beta(), seed=1)
    ids = list(range(arms))
    return (
        rate(lambda count: [policy.pull(ids) for _ in range(count)]),
        rate(lambda count: [policy.update(n % arms, n % 64 == 0) for n in range(count)]),
    )


def wabbit(options):
    vw = importlib.import_module("vowpalwabbit").Workspace(f"--cb_explore {ACTIONS} {options} --quiet")
    contexts = [" ".join(f"f{n}:{random.random():.3f}" for n in range(FEATURES)) for _ in range(500)]
    updates = rate(
        lambda count: [vw.learn(f"{n % ACTIONS + 1}:0:0.1 | {contexts[n % 500]}") for n in range(count)], 64
    )
    decisions = rate(lambda count: [vw.predict(f"| {contexts[n % 500]}") for n in range(count)], 64)
    return decisions, updates


def mabwiser_linear():
    mab = importlib.import_module("mabwiser.mab")
    np = importlib.import_module("numpy")
    generator = np.random.default_rng(1)
    contexts = generator.random((500, FEATURES))
    bandit = mab.MAB(arms=list(range(ACTIONS)), learning_policy=mab.LearningPolicy.LinTS(alpha=1.0))
    bandit.fit(np.arange(500) % ACTIONS, np.arange(500) % 2, contexts)
    one, reward = np.array([3]), np.array([1])
    return (
        rate(lambda count: [bandit.predict(contexts[n % 500 : n % 500 + 1]) for n in range(count)]),
        rate(lambda count: [bandit.partial_fit(one, reward, contexts[n % 500 : n % 500 + 1]) for n in range(count)]),
    )


def river_linear():
    bandit = importlib.import_module("river.bandit")
    policy = bandit.LinUCBDisjoint(alpha=1.0, seed=1)
    contexts = [{f"f{n}": random.random() for n in range(FEATURES)} for _ in range(500)]
    ids = list(range(ACTIONS))
    return (
        rate(lambda count: [policy.pull(ids, context=contexts[n % 500]) for n in range(count)]),
        rate(lambda count: [policy.update(n % ACTIONS, contexts[n % 500], 1.0) for n in range(count)]),
    )


def attempt(what, who, work):
    try:
        row(what, who, *work())
    except ImportError as cause:
        print(f"{what:<28} {who:<22} skipped: {cause}", flush=True)
    except (AttributeError, TypeError) as cause:
        print(f"{what:<28} {who:<22} skipped, its interface is another: {cause}", flush=True)


if __name__ == "__main__":
    for arms in (10, 1_000, 100_000):
        what = f"{arms} arms"
        attempt(what, "numpy", lambda: numpy_thompson(arms))
        attempt(what, "MABWiser", lambda: mabwiser_thompson(arms))
        attempt(what, "river", lambda: river_thompson(arms))
    what = f"{ACTIONS} actions x {FEATURES} features"
    attempt(what, "Vowpal Wabbit, bag 4", lambda: wabbit("--bag 4"))
    attempt(what, "Vowpal Wabbit, epsilon", lambda: wabbit("--epsilon 0.1"))
    attempt(what, "MABWiser LinTS", mabwiser_linear)
    attempt(what, "river LinUCB", river_linear)
