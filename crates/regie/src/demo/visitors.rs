//! Simulated visitors, through the ordinary HTTP API over loopback: decisions, beacons, clicks, orders.
//!
//! What they like is known to the simulation alone (`regie-sim`); Regie sees only what they do. Refuses to hurry the
//! server: when requests take longer than visitors come, visitors stay away, and are counted as such.

use super::{
    bookings::TOPICS,
    keep::Kept,
    taste::{charm, combination_charm},
};
use regie_model::{SiteId, VersionId, booking::TemplateSpec};
use regie_sim::{Appeal, Arrivals, Audience, DayShape, Page, Visitor};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Threads that visit.
const WORKERS: usize = 4;
/// Visitors that may wait for a thread.
const WAITING_MAX: usize = 64;
/// The demo's day lasts ten minutes, so that its curve can be watched.
const DAY_MS: u32 = 600_000;

/// A page of the newspaper: section, its places from top to bottom.
const PAGES: [(&str, f64, Option<usize>, &[&str]); 5] = [
    ("front", 3.0, None, &["top", "billboard", "side", "native", "text"]),
    ("sport", 1.2, Some(0), &["top", "side", "native", "text"]),
    ("culture", 1.0, Some(1), &["top", "side", "native", "text"]),
    ("politics", 1.4, Some(2), &["top", "side", "native", "text"]),
    ("live", 0.8, Some(0), &["top", "live-side"]),
];

/// Where and as whom they visit.
pub struct Setting {
    /// Origin of Regie.
    pub ads: String,
    /// Origin of the newspaper.
    pub pages: String,
    /// The newspaper's site.
    pub site: SiteId,
    /// Tokens of the newspaper's and the shops' servers.
    pub kept: Kept,
    /// What each ad offers, by ad id.
    pub appeals: BTreeMap<String, Appeal>,
    /// Ads that are templates, by ad id.
    pub templates: BTreeMap<String, TemplateSpec>,
    /// Mean visitors a second.
    pub per_second: f64,
    /// Source of all chance.
    pub seed: u64,
}

/// Visitors on their way.
pub struct Visitors {
    stop: Arc<AtomicBool>,
    /// Requests that failed, or visitors who stayed away.
    pub missed_count: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Visitors {
    /// Lets them come until stopped.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn start(setting: Setting) -> std::io::Result<Visitors> {
        let stop = Arc::new(AtomicBool::new(false));
        let missed_count = Arc::new(AtomicU64::new(0));
        let (sender, receiver) = mpsc::sync_channel::<Visitor>(WAITING_MAX);
        let receiver = Arc::new(Mutex::new(receiver));
        let setting = Arc::new(setting);
        let mut threads = Vec::new();
        for _ in 0..WORKERS {
            let (receiver, setting, missed) =
                (Arc::clone(&receiver), Arc::clone(&setting), Arc::clone(&missed_count));
            let work = move || {
                let agent = agent();
                loop {
                    let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(visitor) = next else { break };
                    if visit(&agent, &setting, visitor).is_none() {
                        missed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            };
            threads.push(std::thread::Builder::new().name("demo-visitor".into()).spawn(work)?);
        }
        let (stopping, missed) = (Arc::clone(&stop), Arc::clone(&missed_count));
        let coming = move || {
            let pages =
                PAGES.iter().map(|(_, weight, topic, _)| Page { weight: *weight, topic: *topic }).collect();
            let mut audience = Audience::new(setting.seed, pages);
            // The first visitors come at noon.
            let noon = f64::from(DAY_MS) / 2.0;
            let start = Instant::now();
            for at in Arrivals::new(setting.seed, DayShape::news(DAY_MS), setting.per_second, noon) {
                let due = start + Duration::from_secs_f64((at - noon) / 1_000.0);
                while Instant::now() < due && !stopping.load(Ordering::Relaxed) {
                    std::thread::sleep(
                        due.saturating_duration_since(Instant::now()).min(Duration::from_millis(50)),
                    );
                }
                if stopping.load(Ordering::Relaxed) {
                    break;
                }
                if sender.try_send(audience.visitor()).is_err() {
                    missed.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        threads.push(std::thread::Builder::new().name("demo-arrivals".into()).spawn(coming)?);
        Ok(Visitors { stop, missed_count, threads })
    }
    /// Lets nobody come any more, and waits for those on the pages.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            // A visitor that panicked has nothing left to do.
            drop(thread.join());
        }
    }
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(10)));
    config.build().into()
}

/// One visit; `None` when something did not answer.
fn visit(agent: &ureq::Agent, setting: &Setting, mut visitor: Visitor) -> Option<()> {
    let (section, .., places) = PAGES[visitor.page];
    let topics: Vec<&str> = PAGES[visitor.page].2.map(|t| TOPICS[t]).into_iter().collect();
    let address = if section == "front" { "/demo".to_owned() } else { format!("/demo/{section}") };
    let names: Vec<Value> = places.iter().map(|name| json!({ "name": name })).collect();
    let request = json!({
        "site": setting.site,
        "placements": names,
        "page": { "url": format!("{}{address}", setting.pages), "language": visitor.language, "topics": topics, "key_values": { "section": [section] } },
        "visitor": { "location": { "country": visitor.country }, "user_agent": visitor.device.user_agent() },
    });
    let bearer = format!("Bearer {}", setting.kept.decide_token);
    let post = agent.post(format!("{}/v1/decisions", setting.ads)).header("authorization", &bearer);
    let answer: Value =
        serde_json::from_reader(post.send(request.to_string().as_bytes()).ok()?.body_mut().as_reader())
            .ok()?;
    let mut events = Vec::new();
    let mut clicked = Vec::new();
    for (position, slot) in answer["decisions"].as_array()?.iter().enumerate() {
        let ad = &slot["ad"];
        let Some(ticket) = ad["ticket"].as_str() else { continue };
        // What loads only near the view is shown only to those who come near it.
        let near =
            !slot["behaviour"]["lazy"].as_bool().unwrap_or(false) || visitor.sees(position.saturating_sub(1));
        if !near {
            continue;
        }
        events.push(json!({ "kind": "impression", "ticket": ticket }));
        if !visitor.sees(position) {
            continue;
        }
        events.push(json!({ "kind": "viewable", "ticket": ticket }));
        let appeal = ad["ad"].as_str().and_then(|id| setting.appeals.get(id));
        let Some(appeal) = appeal else { continue };
        let id = ad["ad"].as_str().unwrap_or_default();
        let version = ad["version"].as_str().unwrap_or_default();
        let chance = appeal.click_probability(&visitor.taste) * liking(setting, id, version);
        if visitor.does(chance) {
            clicked.push((ad["click_path"].as_str()?.to_owned(), appeal.order_rate));
        }
    }
    if !events.is_empty() {
        let body = json!({ "events": events }).to_string();
        agent.post(format!("{}/v1/events", setting.ads)).send(body.as_bytes()).ok()?;
    }
    for (path, order_rate) in clicked {
        let answer = agent.get(format!("{}{path}", setting.ads)).call().ok()?;
        let target = answer.headers().get("location")?.to_str().ok()?.to_owned();
        if visitor.does(order_rate) {
            order(agent, setting, &target)?;
        }
    }
    Some(())
}

/// The shop's server reports an order, with the click id of the landing address.
fn order(agent: &ureq::Agent, setting: &Setting, landing: &str) -> Option<()> {
    let url = url::Url::parse(landing).ok()?;
    let click_id = url.query_pairs().find(|(name, _)| name == "regie_click")?.1.into_owned();
    let order_id = format!("order-{}", click_id.get(..24)?);
    let body = json!({ "click_ids": [click_id], "action": "order", "order_id": order_id, "value_micros": 24_000_000 });
    let bearer = format!("Bearer {}", setting.kept.conversions_token);
    let post = agent.post(format!("{}/v1/conversions", setting.ads)).header("authorization", &bearer);
    post.send(body.to_string().as_bytes()).ok().map(drop)
}

/// What the version's own charm, or that of a template's elements, does to a click's chance.
fn liking(setting: &Setting, ad: &str, version: &str) -> f64 {
    let code = version.parse::<VersionId>().ok().and_then(VersionId::template_code);
    match (code, setting.templates.get(ad)) {
        (Some(code), Some(template)) => combination_charm(ad, template, code),
        _ => charm(version),
    }
}
