"""The results of scipy, statsmodels and numpy for the cases of crates/lab/src/analysis/statistic/reference.rs.

Prints JSON: a list of {"statistic", "name", "in", "out"}. An undefined result is null. Committed as
crates/lab/src/analysis/statistic/reference.json; an ignored test runs this again and compares the results.
"""

import json
import math
import sys
import warnings

import numpy as np
import statsmodels.api as sm
from scipy import optimize, special, stats
from statsmodels.stats import diagnostic, multitest, outliers_influence, power, stattools

warnings.simplefilter("ignore")
MASK = (1 << 128) - 1
MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645
LEVEL = 0.95
cases = []


def plain(value):
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(inner) for inner in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if value is None or isinstance(value, str):
        return value
    return float(value) if math.isfinite(value) else None


def case(statistic, name, inputs, outputs):
    cases.append({"statistic": statistic, "name": name, "in": plain(inputs), "out": plain(outputs)})


def generator(seed):
    """numpy's PCG64 as the PCG reference code seeds it: state `seed`, stream 117."""
    increment = (117 << 1 | 1) & MASK
    state = ((seed + increment) * MULTIPLIER + increment) & MASK
    source = np.random.PCG64(0)
    source.state = source.state | {"state": {"state": state, "inc": increment}, "has_uint32": 0, "uinteger": 0}
    return np.random.Generator(source)



def usable(values, need):
    return len(values) >= need and np.isfinite(values).all()


draw = np.random.default_rng(117)
SAMPLES = {
    "two": [1.25, 3.5],
    "three": [10.0, 12.5, 11.0],
    "five": draw.normal(87.0, 1.5, 5),
    "ties": [1.0, 2.0, 2.0, 2.0, 3.0, 3.0, 5.0],
    "far from zero": 1e9 + draw.normal(0.0, 1.0, 20),
    "tiny": draw.normal(3e-9, 1e-9, 12),
    "mixed signs": draw.normal(0.0, 5.0, 15),
    "skewed": draw.lognormal(0.0, 1.0, 40),
    "large": draw.gamma(3.0, 7.0, 500),
    "constant": [4.2] * 6,
    "single": [7.0],
    "nan": [1.0, math.nan, 2.0],
    "empty": [],
}


# ---- distributions


def noncentral_t(t, df, shift):
    value = stats.nct.cdf(t, df, shift)
    # Far from the centre scipy fails, and the result is 0 or 1.
    return float(shift < t) if math.isnan(value) else value


for df in (1, 2, 2.5, 4, 7.3, 30, 199, 1e4, 1e6):
    for p in (1e-6, 0.005, 0.025, 0.2, 0.5, 0.9, 0.975, 0.9995):
        case("t_quantile", f"df {df}, p {p}", {"p": p, "df": df}, {"value": stats.t.ppf(p, df)})
    for t in (-30.0, -2.1, -0.3, 0.0, 1e-3, 1.0, 4.5, 12.0):
        out = {"cdf": stats.t.cdf(t, df), "two_sided": 2 * stats.t.sf(abs(t), df)}
        case("t", f"df {df}, t {t}", {"t": t, "df": df}, out)
for p in (1e-12, 1e-5, 0.025, 0.3, 0.5, 0.8, 0.975, 0.999999):
    case("normal_quantile", f"p {p}", {"p": p}, {"value": stats.norm.ppf(p)})
for z in (-8.0, -3.0, -0.1, 0.0, 0.7, 2.5, 6.0):
    case("normal_cdf", f"z {z}", {"z": z}, {"value": stats.norm.cdf(z)})
for d1, d2 in ((1, 1), (2, 12), (3, 2), (5, 200)):
    for f in (1e-3, 0.7, 3.9, 40.0):
        case("f_upper", f"{d1}, {d2}, F {f}", {"f": f, "d1": d1, "d2": d2}, {"value": stats.f.sf(f, d1, d2)})
for df in (1, 2, 5, 60):
    for x in (0.01, 1.0, 9.0, 70.0):
        case("chi_squared_upper", f"df {df}, x {x}", {"x": x, "df": df}, {"value": stats.chi2.sf(x, df)})
for df in (2, 4.5, 8, 60):
    for shift in (-3.0, -0.5, 0.0, 0.8, 2.5, 7.0, 20.0):
        for t in (-2.0, 0.0, 0.4, 2.3, 9.0):
            case("noncentral_t", f"df {df}, shift {shift}, t {t}", {"t": t, "df": df, "shift": shift},
                 {"value": noncentral_t(t, df, shift)})

# ---- one sample

for name, values in SAMPLES.items():
    values = np.asarray(values, float)
    out = {"mean": None, "deviation": None, "low": None, "high": None, "variance": None, "sum": None}
    if usable(values, 1):
        out["mean"], out["sum"] = math.fsum(values) / len(values), math.fsum(values)
    if usable(values, 2):
        centre = out["mean"]
        out["variance"] = math.fsum((values - centre) ** 2) / (len(values) - 1) if np.ptp(values) else 0.0
        out["deviation"] = math.sqrt(out["variance"])
        assert math.isclose(out["variance"], np.var(values, ddof=1), rel_tol=1e-6, abs_tol=1e-30)
        error = out["deviation"] / math.sqrt(len(values))
        if error:
            out["low"], out["high"] = stats.t.interval(LEVEL, len(values) - 1, centre, error)
        else:
            out["low"] = out["high"] = centre
    case("mean", name, {"values": values}, out)
    for q in (0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 1.0):
        value = np.percentile(values, 100 * q) if usable(values, 1) else None
        case("percentile", f"{name}, q {q}", {"values": values, "q": q}, {"value": value})

# numpy's own least surprising answers for a sum where order matters
case("mean", "cancelling", {"values": [1e16, 1.0, -1e16, 1.0]},
     {"mean": 0.5, "sum": 2.0, "deviation": np.std([1e16, 1.0, -1e16, 1.0], ddof=1)})

STATISTICS = {
    # Sorted, so that the same values drawn in another order have the same mean to the last bit.
    "mean": lambda x, axis: np.mean(np.sort(x, axis=axis), axis=axis),
    "median": lambda x, axis: np.median(x, axis=axis),
    "p90": lambda x, axis: np.percentile(x, 90, axis=axis),
}
for name in ("three", "five", "ties", "mixed signs", "skewed", "constant", "single", "nan"):
    values = np.asarray(SAMPLES[name], float)
    for which, statistic in STATISTICS.items():
        seed = len(cases)
        out = {"low": None, "high": None, "standard_error": None}
        if usable(values, 2) and np.ptp(values) > 0:
            res = stats.bootstrap((values,), statistic, n_resamples=1999, confidence_level=LEVEL, method="BCa",
                                  rng=generator(seed), vectorized=True)
            if np.isfinite(res.confidence_interval.low):
                out = {"low": res.confidence_interval.low, "high": res.confidence_interval.high,
                       "standard_error": res.standard_error}
        case("bca", f"{which} of {name}", {"values": values, "statistic": which, "resamples": 1999, "seed": seed}, out)

# ---- two samples

PAIRS = {
    "two and two": ([1.0, 2.5], [2.0, 4.5]),
    "three and three": ([1.0, 2.0, 3.5], [2.0, 4.0, 7.25]),
    "unlike sizes": (draw.normal(5, 1, 5), draw.normal(6, 3, 17)),
    "unlike spreads": (draw.normal(5, 0.01, 8), draw.normal(5.5, 2, 6)),
    "no difference": (draw.normal(0, 1, 12), draw.normal(0, 1, 12)),
    "far apart": (draw.normal(0, 1, 6), draw.normal(40, 1, 6)),
    "ties": ([1, 2, 2, 3, 3, 4], [2, 3, 3, 4, 5, 5]),
    "many": (draw.normal(10, 2, 60), draw.normal(10.5, 2, 80)),
    "one side constant": ([3.0, 3.0, 3.0, 3.0], draw.normal(4, 1, 5)),
    "both constant": ([3.0, 3.0, 3.0], [4.0, 4.0, 4.0]),
    "single": ([3.0], [4.0, 5.0]),
    "nan": ([3.0, math.nan, 1.0], [4.0, 5.0, 6.0]),
    "throttled and not, report 5.2 and its baseline": ([86.84, 86.91, 86.78, 86.85, 86.72], [84.8, 84.85, 85.77, 84.12]),
}


def shift_with(t, df, p):
    return optimize.brentq(lambda shift: noncentral_t(t, df, shift) - p, t - 8 - abs(t), t + 8 + abs(t),
                           xtol=1e-14, rtol=1e-14)


for name, (first, second) in PAIRS.items():
    first, second = np.asarray(first, float), np.asarray(second, float)
    pair = {"first": first, "second": second}
    out = dict.fromkeys(("difference", "t", "df", "p", "low", "high"))
    effect = dict.fromkeys(("g", "low", "high", "deviation"))
    if usable(first, 2) and usable(second, 2) and (np.ptp(first) or np.ptp(second)):
        res = stats.ttest_ind(first, second, equal_var=False)
        low, high = res.confidence_interval(LEVEL)
        out = {"difference": first.mean() - second.mean(), "t": res.statistic, "df": res.df, "p": res.pvalue,
               "low": low, "high": high}
        n1, n2 = len(first), len(second)
        df = n1 + n2 - 2
        s = math.sqrt(((n1 - 1) * first.var(ddof=1) + (n2 - 1) * second.var(ddof=1)) / df)
        d = (first.mean() - second.mean()) / s
        scale = math.sqrt(1 / n1 + 1 / n2)
        correction = special.poch(df / 2 - 0.5, 0.5) / math.sqrt(df / 2)
        effect = {"g": d * correction, "deviation": s, "low": scale * shift_with(d / scale, df, 1 - (1 - LEVEL) / 2),
                  "high": scale * shift_with(d / scale, df, (1 - LEVEL) / 2)}
    case("welch", name, pair, out)
    case("hedges_g", name, pair, effect)
    for most in (20_000, 999):
        seed = len(cases)
        out = dict.fromkeys(("difference", "p"))
        if usable(first, 2) and usable(second, 2) and np.ptp(np.concatenate([first, second])) > 0:
            res = stats.permutation_test((first, second), lambda a, b, axis: np.mean(a, axis=axis) - np.mean(b, axis=axis),
                                         n_resamples=most, vectorized=True, rng=generator(seed))
            out = {"difference": res.statistic, "p": res.pvalue}
        case("permutation", f"{name}, at most {most}", pair | {"most": most, "seed": seed}, out)

for name, p in {
    "some": [0.01, 0.04, 0.03, 0.005],
    "ties": [0.02, 0.02, 0.02],
    "all large": [0.9, 0.8, 0.99],
    "one": [0.03],
    "many": draw.uniform(0, 0.2, 25),
}.items():
    case("holm", name, {"p": p}, {"values": multitest.multipletests(p, method="holm")[1]})

# ---- shares

for successes, trials in ((0, 1), (1, 1), (0, 10), (10, 10), (1, 10), (9, 10), (5, 10), (58, 60), (59, 60), (60, 60),
                          (1, 400), (399, 400), (367, 368), (2, 5000), (4950, 5000), (12345, 99999), (99998, 99999)):
    tail, failures = (1 - LEVEL) / 2, trials - successes
    low = special.betaincinv(successes, failures + 1, tail) if successes else 0.0
    high = special.betainccinv(successes + 1, failures, tail) if failures else 1.0
    case("proportion", f"{successes} of {trials}", {"successes": successes, "trials": trials},
         {"value": successes / trials, "low": low, "high": high})

# ---- power

for d, n1, n2, alpha in ((0.5, 5, 5, 0.05), (1.2, 5, 9, 0.05), (2.0, 3, 3, 0.01), (0.2, 100, 80, 0.05), (3.0, 2, 2, 0.05),
                         (0.0, 6, 6, 0.05), (5.0, 30, 30, 0.05)):
    value = power.TTestIndPower().power(d, n1, alpha, ratio=n2 / n1) if d else alpha
    case("power", f"d {d}, {n1} and {n2}, {alpha}", {"effect": d, "first": n1, "second": n2, "alpha": alpha},
         {"value": value})
for n1, n2, alpha, wanted in ((5, 5, 0.05, 0.8), (4, 11, 0.05, 0.8), (30, 30, 0.01, 0.9), (2, 2, 0.05, 0.8)):
    def lacking(d):
        df, shift = n1 + n2 - 2, d * math.sqrt(n1 * n2 / (n1 + n2))
        bound = stats.t.isf(alpha / 2, df)
        return 1 - noncentral_t(bound, df, shift) + noncentral_t(-bound, df, shift) - wanted

    value = optimize.brentq(lacking, 1e-3, 12, xtol=1e-14, rtol=1e-14)
    case("detectable", f"{n1} and {n2}, {alpha}, {wanted}",
         {"first": n1, "second": n2, "alpha": alpha, "power": wanted}, {"value": value})

# ---- pairs

x = draw.normal(0, 1, 25)
XY = {
    "report 3.5: lag p99 and efficiency": ([16.13, 17.54, 15.89, 18.23, 16.41], [86.84, 85.91, 87.12, 85.34, 86.58]),
    "report 3.5: lag p99 and chunks": ([16.13, 17.54, 15.89, 18.23, 16.41], [197, 203, 195, 208, 199]),
    "related": (x, 0.7 * x + draw.normal(0, 1, 25)),
    "unrelated": (draw.normal(0, 1, 15), draw.normal(0, 1, 15)),
    "far from zero": (1e6 + x, 1e6 - x + draw.normal(0, 0.5, 25)),
    "ties": ([1, 2, 2, 3, 3, 3, 4], [2, 1, 2, 2, 5, 5, 4]),
    "three": ([1.0, 2.0, 4.0], [2.0, 1.0, 3.0]),
    "two": ([1.0, 2.0], [4.0, 3.0]),
    "constant": ([1.0, 2.0, 3.0, 4.0], [5.0] * 4),
    "nan": ([1.0, math.nan, 3.0, 4.0], [5.0, 6.0, 7.0, 9.0]),
}
for name, (left, right) in XY.items():
    left, right = np.asarray(left, float), np.asarray(right, float)
    pearson = dict.fromkeys(("r", "p", "low", "high"))
    spearman = dict(pearson)
    n = len(left)
    if usable(left, 2) and usable(right, 2) and np.ptp(left) and np.ptp(right):
        res = stats.pearsonr(left, right)
        pearson["r"] = res.statistic
        rho = stats.spearmanr(left, right)
        spearman["r"] = rho.statistic
        if n > 2:
            pearson["p"], spearman["p"] = res.pvalue, rho.pvalue
        if n > 3:
            pearson["low"], pearson["high"] = res.confidence_interval(LEVEL)
            margin = stats.norm.ppf(0.5 + LEVEL / 2) * math.sqrt((1 + rho.statistic**2 / 2) / (n - 3))
            spearman["low"] = math.tanh(math.atanh(rho.statistic) - margin)
            spearman["high"] = math.tanh(math.atanh(rho.statistic) + margin)
    case("pearson", name, {"left": left, "right": right}, pearson)
    case("spearman", name, {"left": left, "right": right}, spearman)
    if usable(left, 1):
        case("ranks", name, {"values": left}, {"values": stats.rankdata(left)})

columns = draw.normal(0, 1, (30, 4)) @ draw.normal(0, 1, (4, 4))
case("correlation_matrix", "four columns", {"columns": columns.T}, {"rows": np.corrcoef(columns.T)})

# ---- regression


def regression(name, columns, outcome):
    columns, outcome = np.asarray(columns, float), np.asarray(outcome, float)
    keys = ("coefficients", "errors", "t", "p", "low", "high", "r_squared", "adjusted", "f", "f_p", "deviation",
            "durbin_watson", "jarque_bera", "jarque_bera_p", "breusch_pagan", "breusch_pagan_p", "cook", "cook_row")
    out = dict.fromkeys(keys)
    k, n = columns.shape
    if np.isfinite(columns).all() and np.isfinite(outcome).all() and n >= k + 2 and np.ptp(outcome) and all(
            np.ptp(c) for c in columns) and np.linalg.matrix_rank(np.column_stack([np.ones(n), columns.T])) == k + 1:
        # QR, since statsmodels' default uses a pseudo-inverse, which squares the condition number.
        fit = sm.OLS(outcome, sm.add_constant(columns.T, has_constant="add")).fit(method="qr")
        interval = fit.conf_int(1 - LEVEL)
        jb, jb_p, _, _ = stattools.jarque_bera(fit.resid)
        bp, bp_p, _, _ = diagnostic.het_breuschpagan(fit.resid, fit.model.exog)
        cook = outliers_influence.OLSInfluence(fit).cooks_distance[0]
        out = dict(zip(keys, (fit.params, fit.bse, fit.tvalues, fit.pvalues, interval[:, 0], interval[:, 1], fit.rsquared,
                              fit.rsquared_adj, fit.fvalue, fit.f_pvalue, math.sqrt(fit.mse_resid),
                              stattools.durbin_watson(fit.resid), jb, jb_p, bp, bp_p, cook.max(), int(cook.argmax()))))
    case("regression", name, {"columns": columns, "outcome": outcome}, out)


lag, chunks = draw.normal(16, 2, 40), draw.normal(200, 10, 40)
regression("one column", [lag], 95 - 0.5 * lag + draw.normal(0, 0.7, 40))
regression("two columns of unlike size", [lag, 1000 * chunks], 130 - 0.5 * lag - 0.18 * chunks + draw.normal(0, 0.7, 40))
regression("report 3.5 by 6.2's model", [[16.13, 17.54, 15.89, 18.23, 16.41], [197, 203, 195, 208, 199]],
           [86.84, 85.91, 87.12, 85.34, 86.58])
regression("as few rows as can be", [[1.0, 2.0, 4.0]], [2.0, 3.5, 7.0])
regression("too few rows", [[1.0, 2.0]], [2.0, 3.0])
regression("a column that is twice another", [lag, 2 * lag], lag + draw.normal(0, 1, 40))
regression("a constant column", [lag, [3.0] * 40], lag + draw.normal(0, 1, 40))
regression("a constant outcome", [lag], [1.0] * 40)
regression("nan", [[1.0, math.nan, 3.0, 4.0]], [1.0, 2.0, 3.0, 5.0])

related = np.array([lag, lag + draw.normal(0, 1, 40), chunks])
case("variance_inflation", "two related columns of three", {"columns": related}, {"values": [
    outliers_influence.variance_inflation_factor(sm.add_constant(related.T), place + 1) for place in range(3)]})

# ---- the Universal Scalability Law


def usl(n, one, sigma, kappa):
    return one * n / (1 + sigma * (n - 1) + kappa * n * (n - 1))


def slopes(n, one, sigma, kappa):
    load = 1 + sigma * (n - 1) + kappa * n * (n - 1)
    return np.column_stack([n / load, -one * n * (n - 1) / load**2, -one * n * n * (n - 1) / load**2])


def polish(n, x, parameters):
    """Improves the result of curve_fit, which stops at about 1e-8, by Newton's method to the last digits."""
    parameters = np.array(parameters)
    for _ in range(200):
        step = np.linalg.lstsq(slopes(n, *parameters), x - usl(n, *parameters), rcond=None)[0]
        parameters = parameters + step
    return parameters


def scaling(name, n, x):
    n, x = np.asarray(n, float), np.asarray(x, float)
    keys = ("one", "contention", "coherency", "errors", "low", "high", "r_squared", "peak", "peak_low", "peak_high",
            "peak_throughput")
    out = dict.fromkeys(keys)
    if usable(n, 4) and usable(x, 4) and len(set(n)) >= 3 and (x > 0).all():
        found, _ = optimize.curve_fit(usl, n, x, p0=(x[0] / n[0], 0.1, 0.001), jac=slopes, ftol=1e-15, xtol=1e-15,
                                      gtol=1e-15, maxfev=10_000)
        best = polish(n, x, found)
        assert np.allclose(found, best, rtol=1e-5, atol=1e-7), (found, best)
        rest = x - usl(n, *best)
        covariance = np.linalg.inv(slopes(n, *best).T @ slopes(n, *best)) * (rest @ rest) / (len(n) - 3)
        errors = np.sqrt(np.diag(covariance))
        margin = stats.t.ppf(0.5 + LEVEL / 2, len(n) - 3)
        out |= {"one": best[0], "contention": best[1], "coherency": best[2], "errors": errors,
                "low": best - margin * errors, "high": best + margin * errors,
                "r_squared": 1 - rest @ rest / ((x - x.mean()) @ (x - x.mean()))}
        if best[2] > 0 and best[1] < 1:
            peak = math.sqrt((1 - best[1]) / best[2])
            slope = np.array([0, -0.5 / (1 - best[1]), -0.5 / best[2]])
            width = margin * math.sqrt(slope @ covariance @ slope)
            out |= {"peak": peak, "peak_low": peak * math.exp(-width), "peak_high": peak * math.exp(width),
                    "peak_throughput": usl(peak, *best)}
    case("scaling", name, {"streams": n, "throughputs": x}, out)


levels = np.repeat([1, 2, 4, 8, 16, 32], 5)
scaling("H100, measured-like", levels, usl(levels, 177, 0.2, 0.002) * draw.normal(1, 0.03, 30))
scaling("noisy", levels, usl(levels, 100, 0.05, 0.0005) * draw.normal(1, 0.15, 30))
scaling("no peak", levels, usl(levels, 50, 0.1, 0.0) * draw.normal(1, 0.01, 30))
scaling("four points", [1, 2, 4, 8], [177, 269, 374, 460])
scaling("medians of an H100", [1, 2, 4, 8, 16, 32], [177, 269, 374, 460, 537, 483])
scaling("two levels alone", [1, 1, 2, 2], [10, 11, 18, 19])
scaling("nan", [1, 2, 4, 8], [10, math.nan, 30, 40])

# ---- random numbers

source = generator(5)
case("random", "below 10, then below 2^31, then shuffled",
     {"seed": 5}, {"small": source.integers(0, 10, 20), "large": source.integers(0, 1 << 31, 20),
                   "shuffled": source.permutation(30)})

# ---- within groups, and pairs: draws of their own, so that the cases above stay as they are

own = np.random.default_rng(25)


def within(name, groups):
    """The partial correlation with the group as a factor, by the t of a regression with a column for each group."""
    used = [(np.asarray(x, float), np.asarray(y, float)) for x, y in groups if len(x) > 1]
    for statistic, score in (("pearson_within", np.asarray), ("spearman_within", stats.rankdata)):
        x = np.concatenate([score(x) for x, _ in used])
        y = np.concatenate([score(y) for _, y in used])
        labels = np.repeat(np.arange(len(used)), [len(x) for x, _ in used])
        factor = (labels[:, None] == np.arange(len(used))).astype(float)
        fit = sm.OLS(y, np.column_stack([x, factor])).fit()
        t, df = fit.tvalues[0], fit.df_resid
        r = t / math.sqrt(t * t + df)
        spread = 1 if statistic == "pearson_within" else 1 + r * r / 2
        margin = stats.norm.ppf(0.5 + LEVEL / 2) * math.sqrt(spread / (df - 1))
        case(statistic, name, {"left": [x for x, _ in groups], "right": [y for _, y in groups]},
             {"r": r, "p": fit.pvalues[0], "low": math.tanh(math.atanh(r) - margin),
              "high": math.tanh(math.atanh(r) + margin)})


def group(n, level, slope):
    x = own.normal(level, 1, n)
    return x, slope * x - 3 * level + own.normal(0, 1, n)


within("Simpson's paradox", [group(8, level, 0.5) for level in (0, 10, 20)])
within("no relation within", [group(6, level, 0) for level in (0, 5)])
within("one group", [group(9, 1, 1)])
within("unlike sizes and a group of one", [group(4, 0, 1), group(1, 50, 1), group(15, 3, 1)])
for name, differences in {"six": own.normal(1, 1, 6), "eleven": own.normal(0, 1, 11), "four": [1.0, 2.0, -0.5, 3.0]}.items():
    res = stats.permutation_test((np.asarray(differences),), np.mean, permutation_type="samples",
                                 n_resamples=np.inf, alternative="two-sided")
    case("sign_flip", name, {"differences": differences}, {"difference": np.mean(differences), "p": res.pvalue})

# ---- values relative to baselines that were measured, too


def resampled(rng, weights, samples):
    """A resampled baseline divided by the baseline, with the variance of the mean."""
    middles = [np.mean(sample) for sample in samples]
    apart = [math.sqrt(len(sample) / (len(sample) - 1)) * (sample[rng.integers(0, len(sample), len(sample))].mean() - middle)
             for sample, middle in zip(samples, middles)]
    return 1 + np.dot(weights, apart) / np.dot(weights, middles)


def with_baselines(name, walls, alone, weights, most):
    seed = len(cases)
    alone = [[np.asarray(sample, float) for sample in side] for side in alone]
    first, second = (np.dot(weights, [sample.mean() for sample in side]) / np.asarray(wall) / sum(weights)
                     for wall, side in zip(walls, alone))
    rng, values, seen = generator(seed), np.concatenate([first, second]), first.mean() - second.mean()
    drawn = [seen]
    for _ in range(most):
        rng.shuffle(values)
        factors = [resampled(rng, weights, side) for side in alone]
        drawn.append(factors[0] * values[:len(first)].mean() - factors[1] * values[len(first):].mean())
    drawn = np.asarray(drawn)
    p = min(1, 2 * min(np.mean(drawn <= seen), np.mean(drawn >= seen)))
    case("permutation_with_baselines", name,
         {"first": first, "second": second, "alone_first": alone[0], "alone_second": alone[1], "weights": weights, "most": most,
          "seed": seed}, {"difference": seen, "p": p})


with_baselines("two roles", [own.normal(15, 0.3, 5), own.normal(14, 0.3, 6)],
               [[own.normal(10, 1, 5), own.normal(11, 1, 4)], [own.normal(10, 1, 5), own.normal(11, 1, 6)]], [1, 1], 999)
with_baselines("one role of four agents", [own.normal(15, 0.3, 4), own.normal(13, 0.3, 4)],
               [[own.normal(10, 0.1, 4)], [own.normal(10, 0.1, 4)]], [4], 999)

for difference, error, df, n1, n2 in ((0.05, 0.02, 6.3, 5, 5), (-0.3, 0.1, 9.0, 4, 8), (0.0, 1.0, 3.2, 4, 4)):
    scale = math.sqrt(1 / n1 + 1 / n2)
    correction = special.poch(df / 2 - 0.5, 0.5) / math.sqrt(df / 2)
    t = difference / error
    case("effect_of_error", f"{difference} ± {error}",
         {"difference": difference, "error": error, "df": df, "first": n1, "second": n2},
         {"g": t * scale * correction, "deviation": error / scale, "low": scale * shift_with(t, df, 1 - (1 - LEVEL) / 2),
          "high": scale * shift_with(t, df, (1 - LEVEL) / 2)})

json.dump(cases, sys.stdout, indent=None, separators=(",", ":"))
