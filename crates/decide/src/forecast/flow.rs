//! The largest flow from goals to the traffic that can meet them (Ford and Fulkerson 1956; shortest paths: Edmonds
//! and Karp 1972, section 1). Whole impressions; refuses fractions.

use std::collections::VecDeque;

/// A transport problem: sources with amounts, sinks with capacities, and how much may go from one to another.
#[derive(Clone, Debug, Default)]
pub(super) struct Transport {
    pub(super) sources: Vec<u64>,
    pub(super) sinks: Vec<u64>,
    /// (source, sink, most).
    pub(super) ways: Vec<(usize, usize, u64)>,
}

#[derive(Clone, Copy)]
struct Edge {
    to: usize,
    left: u64,
}

impl Transport {
    /// How much goes over each way when as much as possible arrives.
    pub(super) fn solve(&self) -> Vec<u64> {
        let (start, end) = (0, 1 + self.sources.len() + self.sinks.len());
        let mut edges: Vec<Edge> = Vec::new();
        let mut of: Vec<Vec<usize>> = vec![Vec::new(); end + 1];
        let mut link = |from: usize, to: usize, left: u64| {
            of[from].push(edges.len());
            edges.push(Edge { to, left });
            of[to].push(edges.len());
            edges.push(Edge { to: from, left: 0 });
        };
        for (source, sink, most) in &self.ways {
            link(1 + source, 1 + self.sources.len() + sink, *most);
        }
        self.sources.iter().enumerate().for_each(|(source, amount)| link(start, 1 + source, *amount));
        for (sink, capacity) in self.sinks.iter().enumerate() {
            link(1 + self.sources.len() + sink, end, *capacity);
        }
        while let Some(path) = shortest(&edges, &of, start, end) {
            let most = path.iter().map(|edge| edges[*edge].left).min().unwrap_or(0);
            for edge in path {
                edges[edge].left -= most;
                edges[edge ^ 1].left += most;
            }
        }
        // The way back of an edge has what went over it.
        (0..self.ways.len()).map(|way| edges[2 * way + 1].left).collect()
    }
}

/// The edges of a shortest way with room on it.
fn shortest(edges: &[Edge], of: &[Vec<usize>], start: usize, end: usize) -> Option<Vec<usize>> {
    let mut by: Vec<Option<usize>> = vec![None; of.len()];
    let mut queue = VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for edge in of[at].iter().copied().filter(|edge| edges[*edge].left > 0) {
            let to = edges[edge].to;
            if to != start && by[to].is_none() {
                by[to] = Some(edge);
                queue.push_back(to);
            }
        }
    }
    let mut path = vec![by[end]?];
    while let Some(edge) = path.last().copied() {
        let from = edges[edge ^ 1].to;
        if from == start {
            break;
        }
        path.push(by[from]?);
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_way_for_who_has_no_other() {
        // The first could use both sinks, the second only the first one.
        let problem = Transport {
            sources: vec![10, 10],
            sinks: vec![10, 10],
            ways: vec![(0, 0, 10), (0, 1, 10), (1, 0, 10)],
        };
        assert_eq!(problem.solve(), [0, 10, 10]);
    }
    #[test]
    fn never_passes_a_limit_and_leaves_nothing_that_could_go() {
        let mut seed = 7u64;
        let mut below = |count: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % count
        };
        for _ in 0..300 {
            let sources: Vec<u64> = (0..1 + below(4)).map(|_| below(20)).collect();
            let sinks: Vec<u64> = (0..1 + below(4)).map(|_| below(20)).collect();
            let mut ways = Vec::new();
            for source in 0..sources.len() {
                for sink in 0..sinks.len() {
                    if below(3) > 0 {
                        ways.push((source, sink, below(20)));
                    }
                }
            }
            let problem = Transport { sources, sinks, ways };
            let got = problem.solve();
            for (way, flow) in problem.ways.iter().zip(&got) {
                assert!(*flow <= way.2);
            }
            let out = |s: usize| {
                problem.ways.iter().zip(&got).filter(|(w, _)| w.0 == s).map(|(_, f)| f).sum::<u64>()
            };
            let into = |s: usize| {
                problem.ways.iter().zip(&got).filter(|(w, _)| w.1 == s).map(|(_, f)| f).sum::<u64>()
            };
            assert!((0..problem.sources.len()).all(|s| out(s) <= problem.sources[s]));
            assert!((0..problem.sinks.len()).all(|s| into(s) <= problem.sinks[s]));
            // No set of goals gets less than every cut allows (max flow = min cut), by trying all cuts.
            let cut = |mask: usize| {
                let inside = |s: usize| mask >> s & 1 == 1;
                let left: u64 =
                    (0..problem.sources.len()).filter(|s| !inside(*s)).map(|s| problem.sources[s]).sum();
                let over: u64 = (0..problem.sinks.len())
                    .map(|sink| {
                        let ways = problem.ways.iter().filter(|w| w.1 == sink && inside(w.0));
                        ways.map(|w| w.2).sum::<u64>().min(problem.sinks[sink])
                    })
                    .sum();
                left + over
            };
            let least = (0..1usize << problem.sources.len()).map(cut).min().unwrap();
            assert_eq!(got.iter().sum::<u64>(), least);
        }
    }
}
