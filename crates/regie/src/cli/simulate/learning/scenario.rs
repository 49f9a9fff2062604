//! What is run: a kind of campaign, the policies, and the bar that the learner is held to.

use super::policy::Learned;
use anyhow::Result;
use regie_learn::factor::Settings;
use regie_sim::campaign::{
    CONTEXTS_COUNT, Campaign, Captured, Events, Family, Form, Policy, Truth,
    policies::{EpsilonGreedy, Rule, Subsample, Uniform},
};
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

/// A policy by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The product's learner.
    Learner,
    /// The same without interactions.
    MainEffects,
    /// Thompson sampling on a subsample, nothing shared.
    Thompson,
    /// UCB1 on a subsample.
    Ucb1,
    /// Successive halving on a subsample.
    Halving,
    /// A tenth evenly, else the best observed.
    EpsilonGreedy,
    /// Every version alike.
    Uniform,
}
impl Who {
    const BESIDE: [Who; 6] =
        [Who::MainEffects, Who::Thompson, Who::Ucb1, Who::Halving, Who::EpsilonGreedy, Who::Uniform];
    /// The word on the command line and in the table.
    pub fn word(self) -> &'static str {
        match self {
            Who::Learner => "regie",
            Who::MainEffects => "main-effects",
            Who::Thompson => "thompson",
            Who::Ucb1 => "ucb1",
            Who::Halving => "halving",
            Who::EpsilonGreedy => "epsilon-greedy",
            Who::Uniform => "uniform",
        }
    }
    /// Of a list of words.
    ///
    /// # Errors
    /// An unknown word.
    pub fn list(words: &str) -> Result<Vec<Who>> {
        let one = |word: &str| {
            let found = Who::BESIDE.into_iter().find(|who| who.word() == word);
            found.ok_or_else(|| anyhow::anyhow!("--beside {word}: unknown policy"))
        };
        match words {
            "all" => Ok(Who::BESIDE.to_vec()),
            "none" | "" => Ok(Vec::new()),
            list => list.split(',').map(str::trim).map(one).collect(),
        }
    }
}

/// What the learner is held to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bar {
    /// None.
    None,
    /// Share captured in the last tenth, at least.
    LastTenth(f64),
}

/// A kind of campaign.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it is called.
    pub name: String,
    /// Family of the truth.
    pub family: Family,
    /// Slots.
    pub form: Form,
    /// Requests.
    pub requests_count: usize,
    /// What happens.
    pub events: Events,
    /// A truth from elsewhere.
    pub truth: Option<Truth>,
    /// Multiplies the learner's prior widths.
    pub prior_scale: f64,
    /// The bar.
    pub bar: Bar,
    /// Whether the policies beside run too.
    pub compared: bool,
}

impl Scenario {
    /// Nothing special happens.
    pub fn plain(family: Family, form: Form, requests_count: usize) -> Scenario {
        let events = Events::default();
        let name = format!("{} {requests_count}", family.word());
        Scenario {
            name,
            family,
            form,
            requests_count,
            events,
            truth: None,
            prior_scale: 1.0,
            bar: Bar::None,
            compared: true,
        }
    }
    fn campaign(&self, seed: u64) -> Campaign {
        Campaign {
            family: self.family,
            form: self.form,
            seed,
            requests_count: self.requests_count,
            events: self.events,
            truth: self.truth.clone(),
        }
    }
    fn one(&self, who: Who, seed: u64) -> Result<Captured> {
        let campaign = self.campaign(seed);
        let sizes = campaign.sizes();
        let contexts_count = self.truth.as_ref().map_or(CONTEXTS_COUNT, Truth::contexts_count);
        let settings =
            |interactions| Settings { interactions, prior_scale: self.prior_scale, ..Settings::default() };
        let subsample = |rule| Box::new(Subsample::new(rule, &sizes, self.requests_count, seed));
        let mut policy: Box<dyn Policy> = match who {
            Who::Learner => Box::new(Learned::new(&sizes, contexts_count, settings(true), seed)?),
            Who::MainEffects => Box::new(Learned::new(&sizes, contexts_count, settings(false), seed)?),
            Who::Thompson => subsample(Rule::Thompson),
            Who::Ucb1 => subsample(Rule::Ucb1),
            Who::Halving => subsample(Rule::Halving),
            Who::EpsilonGreedy => Box::new(EpsilonGreedy::new(&sizes)),
            Who::Uniform => Box::new(Uniform::new(&sizes)),
        };
        Ok(campaign.run(policy.as_mut(), &mut |_| ()))
    }
    /// Every policy on every seed, on all processors; in the order of `policies`, then of `seeds`.
    ///
    /// # Errors
    /// A template that cannot be learned.
    pub fn run(
        &self,
        policies: &[Who],
        seeds: &[u64],
        done: &(dyn Fn() + Sync),
    ) -> Result<Vec<(Who, Vec<Captured>)>> {
        let jobs: Vec<(Who, u64)> =
            policies.iter().flat_map(|who| seeds.iter().map(|seed| (*who, *seed))).collect();
        let next = AtomicUsize::new(0);
        let results: Mutex<Vec<Option<Result<Captured>>>> = Mutex::new(jobs.iter().map(|_| None).collect());
        let work = || {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some((who, seed)) = jobs.get(at) else { return };
                let captured = self.one(*who, *seed);
                results.lock().unwrap_or_else(PoisonError::into_inner)[at] = Some(captured);
                done();
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get()).min(jobs.len().max(1));
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
        let all: Result<Vec<Captured>> =
            results.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().flatten().collect();
        let mut all = all?.into_iter();
        Ok(policies.iter().map(|who| (*who, all.by_ref().take(seeds.len()).collect())).collect())
    }
}

/// Every scenario that has a bar.
pub fn with_bars(form: Form) -> Vec<Scenario> {
    const MILLION: usize = 1_000_000;
    let base = |family, name: &str, requests_count, bar| Scenario {
        name: format!("{}, {name}", Family::word(family)),
        bar,
        compared: false,
        ..Scenario::plain(family, form, requests_count)
    };
    let mut all = Vec::new();
    for family in [Family::Strong, Family::Sparse] {
        let two = || base(family, "2 million", 2 * MILLION, Bar::LastTenth(0.92));
        all.push(Scenario { compared: true, ..two() });
        all.push(base(family, "10 million", 10 * MILLION, Bar::LastTenth(0.96)));
        let mut delayed = base(family, "2 million, outcomes 100,000 late", 2 * MILLION, Bar::LastTenth(0.88));
        delayed.events.delay_count = 100_000;
        let mut redrawn = base(
            family,
            "30% redrawn at 1 million, the last tenth of 1 million more",
            2 * MILLION,
            Bar::LastTenth(0.85),
        );
        redrawn.events.redrawn = true;
        let mut assets = base(family, "2 million, assets join and are retired", 2 * MILLION, Bar::None);
        assets.events.assets_change = true;
        all.extend([delayed, redrawn, assets]);
        for (scale, name) in
            [(4.0, "2 million, prior 4 times too wide"), (0.25, "2 million, prior 4 times too narrow")]
        {
            all.push(Scenario { prior_scale: scale, ..base(family, name, 2 * MILLION, Bar::None) });
        }
    }
    for family in [Family::Mains, Family::Pairs, Family::Heavy, Family::Dense, Family::Null] {
        all.push(base(family, "2 million", 2 * MILLION, Bar::None));
    }
    all
}
