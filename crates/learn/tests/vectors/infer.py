"""Makes infer.json: reference values for crates/learn/tests/infer.rs.

    python -m venv v && v/bin/pip install scipy==1.17.1 statsmodels==0.15.0 gbstats==0.8.0 mpmath
    v/bin/python infer.py [folder of confseq 0.0.11's Python sources] > infer.json

References: gbstats (t-tests, sequential, chance to win, risk), statsmodels (z, Wilson, Clopper-Pearson, Newcombe,
Benjamini-Hochberg, Benjamini-Yekutieli), scipy (distributions, quadrature), mpmath (exact beta sums), confseq
(empirical-Bernstein and hedged capital). The mSPRT is the integral that defines it (Johari, Pekelis, Walsh, eq. 8), not
its closed form; e-BH is its definition, by trying every size (Wang, Ramdas, Def. 2).
"""
import json
import sys

import mpmath
import numpy as np
from gbstats.bayesian.tests import EffectBayesianABTest, EffectBayesianConfig
from gbstats.frequentist.tests import (FrequentistConfig, SequentialConfig, SequentialTwoSidedTTest, TwoSidedTTest)
from gbstats.models.statistics import ProportionStatistic, SampleMeanStatistic
from scipy import integrate, stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint, proportions_ztest

out = {}
q = [1e-9, 1e-4, 0.01, 0.2, 0.5, 0.7, 0.975, 0.99999]
out["normal"] = [[p, float(stats.norm.ppf(p))] for p in q]
out["student"] = [[p, f, float(stats.t.ppf(p, f))] for p in q[1:] for f in (1.0, 3.7, 30.0, 19874.3)]
shapes = [(0.5, 0.5), (1, 1), (2, 2308), (101, 9901), (857, 181745), (30, 1), (5e5, 2e6)]
out["beta_quantile"] = [[a, b, p, float(stats.beta.ppf(p, a, b))] for a, b in shapes for p in q[1:]]
out["beta_cdf"] = [[a, b, x, float(stats.beta.cdf(x, a, b))] for a, b in shapes[:6]
                   for x in (1e-4, 0.001, 0.0047, 0.01, 0.0102, 0.3, 0.97)]
out["chi_square"] = [[x, f, float(stats.chi2.sf(x, f))] for x in (0.1, 1, 4, 10.83, 50) for f in (1, 2, 9, 99)]

rates = [(100, 10000, 130, 10000), (3, 900, 9, 1100), (50, 400, 40, 600), (1200, 100000, 1300, 90000)]
out["rates"] = []
for ka, na, kb, nb in rates:
    a, b = ProportionStatistic(n=na, sum=ka), ProportionStatistic(n=nb, sum=kb)
    row = {"counts": [ka, na, kb, nb]}
    for kind in ("relative", "absolute"):
        t = TwoSidedTTest(a, b, FrequentistConfig(difference_type=kind)).compute_result()
        s = SequentialTwoSidedTTest(a, b, SequentialConfig(difference_type=kind)).compute_result()
        y = EffectBayesianABTest(a, b, EffectBayesianConfig(difference_type=kind)).compute_result()
        row[kind] = {"estimate": float(t.expected), "ci": [float(x) for x in t.ci], "p": float(t.p_value),
                     "sequential": [float(x) for x in s.ci], "sequential_p": float(s.p_value),
                     "chance": float(y.chance_to_win), "risk": [float(x) for x in y.risk]}
    z, p = proportions_ztest([kb, ka], [nb, na])
    row["z"], row["z_p"] = float(z), float(p)
    row["wilson"] = [float(x) for x in proportion_confint(kb, nb, method="wilson")]
    row["clopper_pearson"] = [float(x) for x in proportion_confint(kb, nb, method="beta")]
    row["newcombe"] = [float(x) for x in confint_proportions_2indep(kb, nb, ka, na, method="newcomb", compare="diff")]
    mpmath.mp.dps = 40
    A, B, C, D = ka + 1, na - ka + 1, kb + 1, nb - kb + 1
    total = mpmath.mpf(0)
    for i in range(C):
        total += mpmath.exp(mpmath.log(mpmath.beta(A + i, B + D)) - mpmath.log(D + i)
                            - mpmath.log(mpmath.beta(1 + i, D)) - mpmath.log(mpmath.beta(A, B)))
    row["beats"] = float(total)
    out["rates"].append(row)

rng = np.random.default_rng(7)
means = []
for na, nb in ((500, 700), (40, 25)):
    x, y = rng.gamma(2, 3, na), rng.gamma(2, 3.3, nb)
    sums = [na, float(x.sum()), float((x * x).sum()), nb, float(y.sum()), float((y * y).sum())]
    a = SampleMeanStatistic(n=na, sum=sums[1], sum_squares=sums[2])
    b = SampleMeanStatistic(n=nb, sum=sums[4], sum_squares=sums[5])
    t = TwoSidedTTest(a, b, FrequentistConfig(difference_type="absolute")).compute_result()
    means.append({"sums": sums, "ci": [float(v) for v in t.ci], "p": float(t.p_value)})
out["means"] = means

arms = [(11, 991), (15, 987), (9, 1300), (21, 1400)]
grid = np.linspace(0, 0.08, 400001)
pdf = np.array([stats.beta.pdf(grid, a, b) for a, b in arms])
cdf = np.array([stats.beta.cdf(grid, a, b) for a, b in arms])
standing = []
for k in range(len(arms)):
    others = np.prod(np.delete(cdf, k, 0), 0)
    standing.append([float(integrate.simpson(pdf[k] * others, x=grid)),
                     float(integrate.simpson(cdf[k] * (1 - others), x=grid))])
out["standings"] = {"arms": arms, "best_loss": standing}

out["msprt"] = []
for mean, n, var, theta, mixing in ((0.3, 40, 2.0, 0.0, 0.5), (-0.02, 10000, 1.3, 0.01, 0.02), (0.01, 500, 0.02, 0.0, 1e-4)):
    sd = np.sqrt(var / n)
    ratio = lambda t: np.exp(-((mean - t) ** 2 - (mean - theta) ** 2) / (2 * sd * sd)) * stats.norm.pdf(t, theta, np.sqrt(mixing))
    post = 1 / (1 / mixing + n / var)
    centre = post * (theta / mixing + mean * n / var)
    value, _ = integrate.quad(ratio, centre - 12 * np.sqrt(post), centre + 12 * np.sqrt(post), epsrel=1e-12, limit=500)
    out["msprt"].append([mean, n, var, theta, mixing, float(np.log(value))])

out["many"] = []
for m in (1, 5, 40):
    p = np.concatenate([rng.uniform(0, 1, m - m // 3), rng.uniform(0, 0.01, m // 3)])
    e = np.exp(rng.normal(0, 3, m))
    best = []
    for k in range(m, 0, -1):
        chosen = [i for i in range(m) if e[i] >= m / (k * 0.1)]
        if len(chosen) >= k:
            best = chosen
            break
    out["many"].append({"p": p.tolist(), "bh": multipletests(p, method="fdr_bh")[1].tolist(),
                        "by": multipletests(p, method="fdr_by")[1].tolist(), "e": e.tolist(), "e_bh_at_0.1": best})

out["streams"] = []
if len(sys.argv) > 1:
    sys.path.insert(0, sys.argv[1])
    from confseq.betting import betting_cs
    from confseq.betting_strategies import lambda_predmix_eb
    from confseq.predmix import predmix_lower_cs

    def one_sided(x):
        # confseq's own v starts from a mean of 0; the paper's eq. 15 from 1/2, as here.
        mean = np.append(0.5, (0.5 + np.cumsum(x)) / (np.arange(1, len(x) + 1) + 1))[:-1]
        return predmix_lower_cs(x, v=(x - mean) ** 2, lambdas_fn=lambda y: lambda_predmix_eb(y, truncation=0.5, alpha=0.025),
                                psi_fn=lambda l: -np.log(1 - l) - l, alpha=0.025)
    for rate, n in ((0.01, 800), (0.1, 500), (None, 400)):
        x = rng.uniform(0, 1, n) ** 3 if rate is None else (rng.uniform(0, 1, n) < rate).astype(float)
        low, high = one_sided(x), 1 - one_sided(1 - x)
        blow, bhigh = betting_cs(x, alpha=0.05, breaks=1000, running_intersection=False, trunc_scale=0.5)
        looks = [0, 9, 99, n - 1]
        out["streams"].append({"x": x.tolist(), "looks": looks, "bernstein": [[float(low[i]), float(high[i])] for i in looks],
                               "hedged": [[float(blow[i]), float(bhigh[i])] for i in looks]})
json.dump(out, sys.stdout, separators=(",", ":"))
print()
