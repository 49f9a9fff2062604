//! What is run: a kind of campaign, the policies, and the bar that the learner is held to.

use super::policy::Learned;
use anyhow::Result;
use regie_learn::factor::Settings;
use regie_sim::campaign::{
    CONTEXTS_COUNT, Campaign, Captured, Events, Family, Form, Policy, Truth,
    policies::{EpsilonGreedy, Rule, Subsample, Uniform},
};

/// A policy by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The product's learner.
    Learner,
    /// The same with the right prior scale, where the scenario gives the learner a wrong one.
    RightScale,
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
            Who::RightScale => "regie, right prior",
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
    /// Points of the last tenth's share lost to the second policy, seed by seed, at most.
    Behind(f64),
}

/// A kind of campaign.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it is called on the command line.
    pub row: String,
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
            row: format!("{}-{requests_count}", family.word()),
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
    /// Runs one policy on one seed.
    ///
    /// # Errors
    /// A template that cannot be learned.
    pub fn one(&self, who: Who, seed: u64) -> Result<Captured> {
        let campaign = self.campaign(seed);
        let sizes = campaign.sizes();
        let contexts_count = self.truth.as_ref().map_or(CONTEXTS_COUNT, Truth::contexts_count);
        let prior_scale = if who == Who::RightScale { 1.0 } else { self.prior_scale };
        let settings = |interactions| Settings { interactions, prior_scale, ..Settings::default() };
        let subsample = |rule| Box::new(Subsample::new(rule, &sizes, self.requests_count, seed));
        let mut policy: Box<dyn Policy> = match who {
            Who::Learner | Who::RightScale => {
                Box::new(Learned::new(&sizes, contexts_count, settings(true), seed)?)
            }
            Who::MainEffects => Box::new(Learned::new(&sizes, contexts_count, settings(false), seed)?),
            Who::Thompson => subsample(Rule::Thompson),
            Who::Ucb1 => subsample(Rule::Ucb1),
            Who::Halving => subsample(Rule::Halving),
            Who::EpsilonGreedy => Box::new(EpsilonGreedy::new(&sizes)),
            Who::Uniform => Box::new(Uniform::new(&sizes)),
        };
        Ok(campaign.run(policy.as_mut(), &mut |_| ()))
    }
    /// The policies that run when these are asked for beside the learner.
    pub fn policies(&self, beside: &[Who]) -> Vec<Who> {
        let mut list = vec![Who::Learner];
        if matches!(self.bar, Bar::Behind(_)) {
            list.push(Who::RightScale);
        }
        list.extend(beside.iter().copied().filter(|_| self.compared));
        list
    }
}

/// Every scenario that has a bar.
pub fn with_bars(form: Form) -> Vec<Scenario> {
    const MILLION: usize = 1_000_000;
    let base = |family, row: &str, name: &str, requests_count, bar| Scenario {
        row: format!("{}-{row}", Family::word(family)),
        name: format!("{}, {name}", Family::word(family)),
        bar,
        compared: false,
        ..Scenario::plain(family, form, requests_count)
    };
    let mut all = Vec::new();
    for family in [Family::Sparse, Family::Strong] {
        let two = || base(family, "2m", "2 million", 2 * MILLION, Bar::LastTenth(0.92));
        all.push(Scenario { compared: true, ..two() });
        all.push(base(family, "10m", "10 million", 10 * MILLION, Bar::LastTenth(0.96)));
        let mut delayed =
            base(family, "delayed", "2 million, outcomes 100,000 late", 2 * MILLION, Bar::LastTenth(0.88));
        delayed.events.delay_count = 100_000;
        let mut redrawn = base(
            family,
            "redrawn",
            "30% redrawn at 1 million, the last tenth of 1 million more",
            2 * MILLION,
            Bar::LastTenth(0.85),
        );
        redrawn.events.redrawn = true;
        let mut assets =
            base(family, "assets", "2 million, assets join and are retired", 2 * MILLION, Bar::None);
        assets.events.assets_change = true;
        all.extend([delayed, redrawn, assets]);
        for (scale, row, name) in [
            (4.0, "wide", "2 million, prior 4 times too wide"),
            (0.25, "narrow", "2 million, prior 4 times too narrow"),
        ] {
            let bar = Bar::Behind(5.0);
            all.push(Scenario { prior_scale: scale, ..base(family, row, name, 2 * MILLION, bar) });
        }
    }
    for family in [Family::Mains, Family::Pairs, Family::Heavy, Family::Dense, Family::Null] {
        all.push(base(family, "2m", "2 million", 2 * MILLION, Bar::None));
    }
    all
}
