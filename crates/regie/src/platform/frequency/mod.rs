//! How often a visitor was shown what, for caps over more than a page view: from a token that the page keeps, or by
//! the publisher's own pseudonymous id. Soft state, lost gladly; never journalled, and nothing is billed by it.
//!
//! Both need a consent that the request states: `storage` for ordinary ads, `political_frequency` for political ones,
//! each for exactly its own (law P1); what has no consent is neither read nor kept. A token is encrypted and sealed
//! (XChaCha20-Poly1305, key derived from the ticket key) for one site, bounded in size, and expires. Visitors by id are
//! known under a keyed hash, in memory only. What counts is the decision, not the impression: a cap is never passed by
//! ads that are on their way. Refuses to record what no cap asks for.

mod history;
mod store;
mod token;

pub use history::{History, Plan, SEEN_COUNT_MAX, Seen};
pub use store::{KEPT_MS, VISITORS_COUNT_MAX};
pub use token::{TOKEN_CHARS_MAX, TOKEN_MS};

use super::Platform;
use arc_swap::ArcSwap;
use regie_decide::{CONSENT_POLITICAL_FREQUENCY, CONSENT_STORAGE, Decision, Request};
use regie_model::{AdSetId, SiteId, UtcMs, catalogue::Catalogue, limits::VALUE_BYTES_MAX};
use serde::Deserialize;
use std::sync::Arc;

/// What a request may say of frequency.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FrequencyInput {
    /// What this page view showed already; not personal, needs no consent.
    pub page_view: Vec<regie_decide::PageViewCount>,
    /// The token of the last answer, as the page kept it.
    pub token: Option<String>,
    /// The publisher's own pseudonymous id of the visitor; counts are then kept by the server.
    pub visitor_id: Option<String>,
    /// Ignored: a page cannot state what a visitor saw elsewhere.
    pub visitor: serde::de::IgnoredAny,
}

impl FrequencyInput {
    /// What says who it was, taken out: a token or an id. The page view stays.
    pub fn take_visitor(&mut self) -> FrequencyInput {
        let (token, visitor_id) = (self.token.take(), self.visitor_id.take());
        FrequencyInput { token, visitor_id, ..FrequencyInput::default() }
    }
}

/// Which consents a request states for frequency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Consents {
    /// Storage, for ordinary ads.
    pub ordinary: bool,
    /// Of a frequency count of political ads.
    pub political: bool,
}
impl Consents {
    /// Those of a request.
    pub fn of(request: &Request) -> Consents {
        let has = |name: &str| request.consents.iter().any(|consent| consent == name);
        Consents { ordinary: has(CONSENT_STORAGE), political: has(CONSENT_POLITICAL_FREQUENCY) }
    }
    /// Whether something of a campaign of this kind may be kept.
    pub fn allows(self, political: bool) -> bool {
        if political { self.political } else { self.ordinary }
    }
}

/// Where a visitor's counts are kept.
enum Kept {
    /// Nowhere: no consent.
    Nowhere,
    /// In the page's token, read as this.
    Token(History),
    /// In the server's memory, under this key.
    Memory([u8; 16]),
}

/// One request's frequency: what it brought, and what is to be kept of the answer.
pub struct Visit {
    kept: Kept,
    consents: Consents,
    site: SiteId,
    at: UtcMs,
}

/// Plan and memory.
#[derive(Default)]
pub struct Frequency {
    plan: ArcSwap<Plan>,
    store: store::Store,
}

impl Frequency {
    /// Takes in which caps there are; called when bookings changed.
    pub fn refresh(&self, catalogue: &Catalogue) {
        let plan = Plan::of(catalogue);
        if plan != **self.plan.load() {
            self.plan.store(Arc::new(plan));
        }
    }
    /// Visitors held in memory.
    pub fn visitors_count(&self) -> usize {
        self.store.len()
    }
}

impl Platform {
    /// Reads what a request brings and writes the counts that its consents allow into its frequency view. A token that
    /// cannot be read, is another site's or has expired is as none: a first visit.
    pub fn visit(&self, input: &FrequencyInput, request: &mut Request) -> Visit {
        let (consents, at, site) = (Consents::of(request), request.at, request.site);
        let plan = self.frequency.plan.load();
        request.frequency.visitor = None;
        request.frequency.political = None;
        let kept = if consents == Consents::default() {
            Kept::Nowhere
        } else if let Some(id) = input.visitor_id.as_deref().filter(|id| !id.is_empty()) {
            let id = &id.as_bytes()[..id.len().min(VALUE_BYTES_MAX)];
            Kept::Memory(store::key(self.keys(), site, id))
        } else {
            let text = input.token.as_deref().unwrap_or_default();
            Kept::Token(token::open(text, self.keys(), site, at).unwrap_or_default())
        };
        let mut count = |history: &History| {
            let counts =
                |political: bool| consents.allows(political).then(|| history.counts(&plan, political, at));
            request.frequency.visitor = counts(false);
            request.frequency.political = counts(true);
        };
        match &kept {
            Kept::Nowhere => {}
            Kept::Token(history) => count(history),
            Kept::Memory(key) => self.frequency.store.read(key, at, |history| count(history)),
        }
        Visit { kept, consents, site, at }
    }

    /// Counts a decision for a visitor known by id: the ad sets that another request has meanwhile brought to their cap;
    /// then nothing is counted, and the decision is to be taken again without them.
    pub fn admit(&self, visit: &Visit, decision: &Decision) -> Vec<AdSetId> {
        let Kept::Memory(key) = &visit.kept else { return Vec::new() };
        let plan = self.frequency.plan.load();
        self.frequency.store.change(key, visit.at, |history| {
            let over: Vec<AdSetId> = decision
                .fills()
                .filter(|fill| visit.consents.allows(fill.political))
                .filter(|fill| history.is_over(&plan, &Seen::of(fill, visit.at), visit.at))
                .map(|fill| fill.ad_set)
                .collect();
            if over.is_empty() {
                decision.fills().for_each(|fill| visit.note(&plan, history, fill));
            }
            over
        })
    }

    /// The token that the page is to keep after a decision; `None` where it is to keep none.
    pub fn next_token(&self, visit: Visit, answers: &[super::deciding::Answer]) -> Option<String> {
        let plan = self.frequency.plan.load();
        let Visit { kept: Kept::Token(mut history), consents, site, at } = visit else { return None };
        history.keep(&plan, at, |political| consents.allows(political));
        let visit = Visit { kept: Kept::Nowhere, consents, site, at };
        for answer in answers {
            if let super::deciding::Answer::Fill(filled) = answer {
                visit.note(&plan, &mut history, &filled.fill);
            }
        }
        // Nothing to remember is nothing to keep.
        if history.is_empty() { None } else { token::seal(&history, self.keys(), site, at) }
    }
}

impl Visit {
    /// The answer says which token the page is to keep, be it none.
    pub fn keeps_token(&self) -> bool {
        matches!(self.kept, Kept::Token(_))
    }
    fn note(&self, plan: &Plan, history: &mut History, fill: &regie_decide::Fill) {
        if self.consents.allows(fill.political) {
            history.add(plan, Seen::of(fill, self.at));
        }
    }
}
