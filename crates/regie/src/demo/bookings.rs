//! What is booked in the demo: a newspaper, its places, and advertisers of every tier and kind of bid.
//!
//! All names are invented; addresses are under names reserved for examples.

use super::{
    desk::{Desk, banner, cents, euros, paris},
    looks::{self, BILLBOARD, LEADERBOARD, Look, RECTANGLE, Words, html, pictures},
    political,
};
use anyhow::Result;
use regie_model::{
    AdvertiserId, CampaignId, Currency, Micros, PartyId, SiteId,
    booking::*,
    catalogue::Catalogue,
    command::Command,
    creative::{Creative, Size},
    personal::Identity,
    targeting::{Clause, Dimension, Op, Targeting},
};
use regie_sim::Appeal;
use std::collections::BTreeMap;

/// Name of the demo's newspaper.
pub const COURIER: &str = "The Harbour Courier";
/// The campaign whose budget runs out while one watches.
pub const SHORT_CAMPAIGN: &str = "Spring tide clearance (a small budget, soon spent)";

/// Topics of the simulated audience, by number.
pub const TOPICS: [&str; regie_sim::TOPICS_COUNT] = ["sport", "culture", "politics", "food", "outdoors"];

/// What each landing page's advertiser offers: hidden from the platform, known to the simulated visitors.
pub fn appeal(slug: &str) -> Appeal {
    let (click_rate, order_rate, topics) = match slug {
        "bikes" => (0.014, 0.06, [0.6, 0.0, 0.1, 0.2, 0.9]),
        "guesthouse" => (0.016, 0.05, [0.0, 0.5, 0.0, 0.4, 0.8]),
        "ferry" => (0.045, 0.10, [0.2, 0.4, 0.3, 0.4, 0.8]),
        "coffee" => (0.040, 0.40, [0.0, 0.5, 0.2, 1.0, 0.1]),
        "trail" => (0.030, 0.15, [1.0, 0.0, 0.0, 0.0, 0.7]),
        "opera" => (0.010, 0.10, [0.0, 1.0, 0.1, 0.1, 0.0]),
        "wind" => (0.006, 0.03, [0.1, 0.1, 0.5, 0.0, 0.5]),
        "tide" => (0.025, 0.10, [0.2, 0.2, 0.1, 0.4, 0.2]),
        "open-harbour" | "forward" | "old-quay" => (0.012, 0.0, [0.1, 0.2, 1.0, 0.0, 0.2]),
        _ => (0.004, 0.02, [0.3; regie_sim::TOPICS_COUNT]),
    };
    Appeal { click_rate, order_rate, topics }
}

/// What each ad offers, by its id.
pub fn appeals(catalogue: &Catalogue) -> BTreeMap<String, Appeal> {
    let ads = catalogue.ads.iter();
    ads.map(|(id, ad)| (id.to_string(), appeal(slug(&ad.kept.spec.landing_url)))).collect()
}

/// The ads that are templates, by their id.
pub fn templates(catalogue: &Catalogue) -> BTreeMap<String, TemplateSpec> {
    let ads = catalogue.ads.iter();
    ads.filter_map(|(id, ad)| Some((id.to_string(), ad.kept.spec.template.clone()?))).collect()
}

/// The landing page's name in its address.
pub fn slug(landing_url: &str) -> &str {
    let path = landing_url.split("/demo/at/").nth(1).unwrap_or("");
    path.split('?').next().unwrap_or("")
}

/// Books everything into an empty folder. For a thread that may block.
///
/// # Errors
/// A refusal or a journal that stopped.
pub fn book(desk: &Desk, origins: Vec<String>) -> Result<()> {
    let site = inventory(desk, origins)?;
    house(desk)?;
    bikes(desk)?;
    ferry(desk)?;
    guesthouse(desk)?;
    coffee_and_trail(desk)?;
    opera(desk)?;
    wind(desk)?;
    short(desk)?;
    political::book(desk)?;
    tracing::debug!(%site, "the demo is booked");
    Ok(())
}

/// Moves a folder's site and landing pages to another origin (the port changed since it was made).
///
/// # Errors
/// As [`book`].
pub fn move_to(desk: &Desk, origins: Vec<String>) -> Result<()> {
    let (site, mut spec, ads) = {
        let catalogue = desk.platform().catalogue();
        let Some((id, site)) = catalogue.sites.iter().next() else { return Ok(()) };
        let ads: Vec<_> = catalogue.ads.iter().map(|(id, ad)| (*id, ad.kept.spec.clone())).collect();
        (*id, site.spec.clone(), ads)
    };
    if spec.origins == origins {
        return Ok(());
    }
    spec.origins = origins;
    desk.site(Some(site), spec)?;
    let mut moved = Vec::new();
    for (id, ad) in ads.into_iter().filter(|(_, ad)| !slug(&ad.landing_url).is_empty()) {
        let page = slug(&ad.landing_url).to_owned();
        desk.put_ad(Some(id), ad.ad_set, &ad.name, &page)?;
        moved.push(id);
    }
    desk.approve(moved)
}

fn inventory(desk: &Desk, origins: Vec<String>) -> Result<SiteId> {
    let publisher = PublisherSpec {
        name: COURIER.into(),
        legal_address: "1 Quay Street\nPort Brume".into(),
        tax_id: "PB 000 000 001".into(),
        tax_rate_ppm: 200_000,
        auction_currency: Currency::EUR,
        zone: paris(),
        rates: Vec::new(),
        political_location: false,
        page_keys: vec!["section".into()],
        blocked_categories: vec!["gambling".into()],
        label_languages: Vec::new(),
        sample_ppm: 10_000,
        auction: AuctionKind::default(),
    };
    desk.send(Command::PutPublisher { revision: None, spec: publisher })?;
    let site = desk.site(None, SiteSpec { name: COURIER.into(), origins, language: Some("en".into()) })?;
    let lazy = Behaviour { lazy: true, ..Behaviour::default() };
    let live = Behaviour { refresh_s: 30, single_page: true, lazy: false };
    for (name, format, behaviour, floor_cents) in [
        ("top", banner(LEADERBOARD), Behaviour::default(), 40),
        ("billboard", banner(BILLBOARD), Behaviour::default(), 100),
        ("side", banner(RECTANGLE), Behaviour::default(), 40),
        ("native", Format::Native, lazy, 5),
        ("text", Format::Text, lazy, 5),
        ("live-side", banner(RECTANGLE), live, 40),
    ] {
        let currency = Currency::EUR;
        let micros_per_mille = cents(floor_cents).0;
        desk.placement(PlacementSpec {
            site,
            name: name.into(),
            format,
            floors: vec![Floor { tier: TierKind::Auction, currency, micros_per_mille }],
            blocked_advertisers: Vec::new(),
            blocked_categories: Vec::new(),
            blocked_domains: Vec::new(),
            fallback_html:
                "<p style=\"font:13px system-ui;color:#777;text-align:center\">This space is free today.</p>"
                    .into(),
            behaviour,
            political: true,
            auction: None,
            slot_weight_ppm: FULL_WEIGHT_PPM,
        })?;
    }
    Ok(site)
}

/// A company that advertises for itself: account and sponsor.
fn firm(
    desk: &Desk,
    name: &str,
    slug: &str,
    category: &str,
    prepaid: Option<Micros>,
) -> Result<(AdvertiserId, PartyId)> {
    let advertiser = desk.advertiser(name, &[category], prepaid)?;
    let identity = Identity {
        name: name.into(),
        email: format!("office@{slug}.example"),
        postal_address: "Port Brume".into(),
        ..Identity::default()
    };
    Ok((advertiser, desk.party(advertiser, identity)?))
}

/// A campaign of a company, without politics.
fn campaign(
    desk: &Desk,
    (advertiser, party): (AdvertiserId, PartyId),
    name: &str,
    objective: Objective,
    budgets: (Option<Micros>, Option<Micros>),
) -> Result<CampaignId> {
    desk.campaign(CampaignSpec {
        advertiser,
        name: name.into(),
        objective,
        flight: desk.flight(30),
        lifetime_budget_micros: budgets.0,
        daily_budget_micros: budgets.1,
        sponsor: party,
        payer: party,
        political: None,
        roadblock: false,
        adapt: None,
        external_id: None,
    })
}

/// An ad set with nothing special.
pub(super) fn ad_set(campaign: CampaignId, name: &str, tier: Tier, bid: Bid, pacing: Pacing) -> AdSetSpec {
    AdSetSpec {
        campaign,
        name: name.into(),
        targeting: Targeting::default(),
        bid,
        tier,
        pacing,
        caps: Vec::new(),
        flight: None,
        lifetime_budget_micros: None,
        daily_budget_micros: None,
        external_id: None,
        experiment: None,
        learning: None,
    }
}
/// Only on pages of these sections.
pub(super) fn sections(names: &[&str]) -> Targeting {
    let values = names.iter().map(|n| (*n).to_owned()).collect();
    let clause = Clause { dimension: Dimension::Key("section".into()), op: Op::In, values, zone: None };
    Targeting { clauses: vec![clause] }
}
/// At most one on a page.
pub(super) fn once_a_page() -> Vec<FrequencyCap> {
    vec![FrequencyCap { scope: CapScope::AdSet, period: CapPeriod::PageView, impressions_count: 1 }]
}
pub(super) fn cpm(amount_cents: i64) -> Bid {
    Bid::Cpm { micros_per_mille: cents(amount_cents).0 }
}
/// The same words in several sizes.
pub(super) fn sizes<'a>(look: &Look, words: Words, list: &[(&'a str, Size)]) -> Vec<(&'a str, Creative)> {
    list.iter().map(|(name, size)| (*name, html(look, words, *size))).collect()
}

fn house(desk: &Desk) -> Result<()> {
    let firm = firm(desk, COURIER, "harbour-courier", "publishing", None)?;
    let campaign = campaign(desk, firm, "Subscribe (house ads)", Objective::Impressions, (None, None))?;
    let set = desk.ad_set(ad_set(campaign, "Everywhere", Tier::House, Bid::Free, Pacing::Asap))?;
    let words =
        Words { over: COURIER, title: "Good morning, Port Brume. Read us at sea, too.", button: "Subscribe" };
    let mut versions = sizes(
        &looks::COURIER,
        words,
        &[("leaderboard", LEADERBOARD), ("rectangle", RECTANGLE), ("billboard", BILLBOARD)],
    );
    let body = "Every morning at six, without a single cookie.".to_owned();
    versions.push(("text", Creative::Text { title: "The Courier by e-mail".into(), body: body.clone() }));
    let native = Creative::Native {
        title: "The Courier by e-mail".into(),
        body,
        call_to_action: "Subscribe".into(),
        asset: None,
        alt: String::new(),
    };
    versions.push(("native", native));
    desk.ad(set, "Subscribe", "courier", versions).map(drop)
}

/// CPM in the auction, three versions that compete.
fn bikes(desk: &Desk) -> Result<()> {
    let firm = firm(desk, "Brume Bikes", "brume-bikes", "vehicles", None)?;
    let budgets = (Some(euros(4_000)), Some(euros(600)));
    let campaign = campaign(desk, firm, "Cargo bikes, spring", Objective::ViewableImpressions, budgets)?;
    let set = AdSetSpec {
        caps: once_a_page(),
        learning: Some(LearningSpec { explore_ppm: 100_000, ..LearningSpec::default() }),
        ..ad_set(campaign, "All pages", Tier::Auction, cpm(980), Pacing::Asap)
    };
    let set = desk.ad_set(set)?;
    let over = "BRUME BIKES";
    let mut versions = Vec::new();
    for (names, title, button) in [
        (["school, leaderboard", "school, rectangle"], "The school run, without the jam.", "Try a ride"),
        (
            ["market, leaderboard", "market, rectangle"],
            "Carries the market, parks at the door.",
            "See the bikes",
        ),
        (["price, leaderboard", "price, rectangle"], "A second car for 39 a month.", "Count it through"),
    ] {
        let words = Words { over, title, button };
        versions.extend(sizes(&looks::BIKES, words, &[(names[0], LEADERBOARD), (names[1], RECTANGLE)]));
    }
    let words = Words { over, title: "Carries the market, parks at the door.", button: "See the bikes" };
    versions.push(("market, billboard", html(&looks::BIKES, words, BILLBOARD)));
    desk.ad(set, "Cargo bikes", "bikes", versions).map(drop)
}

/// A template: 6 headlines x 4 lines x 4 grounds x 4 buttons, of which nobody knows yet what readers like.
fn ferry(desk: &Desk) -> Result<()> {
    let firm = firm(desk, "Night Ferry Line", "night-ferry", "travel", None)?;
    let budgets = (Some(euros(9_000)), Some(euros(2_000)));
    let campaign = campaign(desk, firm, "The last boat", Objective::Clicks, budgets)?;
    let set = AdSetSpec {
        caps: once_a_page(),
        learning: Some(LearningSpec { explore_ppm: 150_000, ..LearningSpec::default() }),
        ..ad_set(campaign, "One template", Tier::Auction, cpm(1_250), Pacing::Asap)
    };
    let set = desk.ad_set(set)?;
    let slot = |name: &str, texts: &[&str]| SlotSpec {
        name: name.into(),
        capacity: 16,
        assets: texts.iter().map(|t| AssetSpec { text: (*t).into(), asset: None, retired: false }).collect(),
    };
    let markup = "<!doctype html><meta charset=utf-8><style>html,body{margin:0}\
        a{position:relative;display:block;width:300px;height:250px;overflow:hidden;background:{slot:ground};color:white;\
        text-decoration:none;font-family:system-ui,sans-serif}small,b,span,u{position:absolute;left:18px;right:18px}\
        small{top:16px;font-size:12px;letter-spacing:.08em;opacity:.85}\
        b{top:46px;font:700 25px/1.15 Georgia,'DejaVu Serif',serif}span{top:142px;font-size:15px;line-height:1.35}\
        u{bottom:18px;right:auto;background:white;color:{slot:ground};border-radius:20px;padding:8px 16px;font-size:14px;font-weight:600;text-decoration:none}</style>\
        <a href=\"{CLICK_URL}\" target=_blank rel=noopener><small>NIGHT FERRY LINE</small><b>{slot:headline}</b><span>{slot:line}</span><u>{slot:button}</u></a>";
    let template = TemplateSpec {
        layout: Layout::Html { markup: markup.into(), size: RECTANGLE },
        slots: vec![
            slot(
                "headline",
                &[
                    "The night ferry runs again.",
                    "Miss the last boat. Take the next.",
                    "Home by two, asleep by three.",
                    "Nine passengers, one double bass.",
                    "The harbour by moonlight.",
                    "No bridge. No jam. No hurry.",
                ],
            ),
            slot(
                "line",
                &[
                    "Every night at a quarter past one.",
                    "Bicycles travel free.",
                    "Return for 6, hot soup included.",
                    "Twenty minutes across, under the stars.",
                ],
            ),
            slot("ground", &["midnightblue", "darkslategray", "firebrick", "seagreen"]),
            slot("button", &["Buy a ticket", "See the timetable", "Come aboard", "Reserve a seat"]),
        ],
        never: vec![[Element { slot: 0, asset: 5 }, Element { slot: 3, asset: 1 }]],
        context: LearningContext::None,
    };
    desk.template(set, "The last boat", "ferry", template).map(drop)
}

/// Image ads and words, paid by the click.
fn guesthouse(desk: &Desk) -> Result<()> {
    let firm = firm(desk, "Lighthouse Guesthouse", "lighthouse-guesthouse", "travel", Some(euros(1_500)))?;
    let campaign = campaign(desk, firm, "Rooms with a light", Objective::Clicks, (Some(euros(1_200)), None))?;
    let bid = Bid::Cpc { micros_per_click: cents(45).0 };
    let set = AdSetSpec {
        caps: once_a_page(),
        ..ad_set(campaign, "By the click", Tier::Auction, bid, Pacing::Asap)
    };
    let set = desk.ad_set(set)?;
    let alt = "A lighthouse at dusk: sleep where the light turns. Lighthouse Guesthouse, Port Brume.";
    let image =
        |bytes| -> Result<Creative> { Ok(Creative::Image { asset: desk.picture(bytes)?, alt: alt.into() }) };
    let text = Creative::Text {
        title: "Sleep where the light turns".into(),
        body: "Six rooms in a working lighthouse, breakfast with gulls. From 64 a night.".into(),
    };
    let versions = vec![
        ("picture, rectangle", image(pictures::GUESTHOUSE_RECTANGLE)?),
        ("picture, leaderboard", image(pictures::GUESTHOUSE_LEADERBOARD)?),
        ("words", text),
    ];
    desk.ad(set, "Rooms", "guesthouse", versions).map(drop)
}

/// Native ads: paid by the order, and by the click.
fn coffee_and_trail(desk: &Desk) -> Result<()> {
    let roasters = firm(desk, "Saltwind Coffee Roasters", "saltwind-coffee", "food", None)?;
    let coffee = campaign(desk, roasters, "First bag", Objective::Conversions, (Some(euros(2_000)), None))?;
    let bid = Bid::Cpa { micros_per_conversion: euros(6).0, action: "order".into() };
    let set = desk.ad_set(ad_set(coffee, "By the order", Tier::Auction, bid, Pacing::Asap))?;
    let words = Words {
        over: "",
        title: "Roasted on the quay on Tuesday, in your cup on Thursday",
        button: "Order a first bag",
    };
    let body =
        "Saltwind roasts in small drums above the old fish market. The first bag comes without postage.";
    let native = desk.native(pictures::COFFEE, "A steaming cup of coffee.", body, words)?;
    let text = Creative::Text {
        title: "Coffee roasted on the quay".into(),
        body: "Saltwind: Tuesday's roast in your cup on Thursday. First bag without postage.".into(),
    };
    desk.ad(set, "First bag", "coffee", vec![("native", native), ("words", text)])?;

    let shoes = firm(desk, "Kestrel Trail Shoes", "kestrel-trail", "sports", None)?;
    let trail =
        campaign(desk, shoes, "Muddy season", Objective::Clicks, (Some(euros(900)), Some(euros(300))))?;
    let bid = Bid::Cpc { micros_per_click: cents(60).0 };
    let set = ad_set(trail, "Sport pages", Tier::Auction, bid, Pacing::Even);
    let set = desk.ad_set(AdSetSpec { targeting: sections(&["sport", "live"]), ..set })?;
    let words = Words {
        over: "KESTREL",
        title: "Made for the cliff path, washed in the sea.",
        button: "Find your size",
    };
    let body = "A shoe for wet rock and long Sundays. Resoled for free, twice.";
    let native = desk.native(pictures::TRAIL, "Mountains and a yellow path at dusk.", body, words)?;
    let mut versions = vec![("native", native)];
    versions.extend(sizes(&looks::TRAIL, words, &[("leaderboard", LEADERBOARD), ("rectangle", RECTANGLE)]));
    desk.ad(set, "Cliff path", "trail", versions).map(drop)
}

/// A guaranteed number of impressions by an agreed day.
fn opera(desk: &Desk) -> Result<()> {
    let firm = firm(desk, "Harbour Opera", "harbour-opera", "arts", None)?;
    let campaign = campaign(
        desk,
        firm,
        "The Drowned Bell, premiere",
        Objective::Impressions,
        (Some(euros(3_000)), None),
    )?;
    let tier = Tier::Guaranteed { impressions_count: 120_000 };
    let two_days = Some(desk.flight(2));
    let set = AdSetSpec {
        flight: two_days,
        caps: once_a_page(),
        ..ad_set(campaign, "120,000 by the premiere", tier, cpm(700), Pacing::Even)
    };
    let set = desk.ad_set(set)?;
    let words = Words {
        over: "HARBOUR OPERA",
        title: "The Drowned Bell. Premiere on Saturday.",
        button: "Seats left",
    };
    let body = "A new opera about the bell that Port Brume lost in the storm of 1784.";
    let native = desk.native(pictures::OPERA, "A singer on a stage between red curtains.", body, words)?;
    let mut versions = vec![("native", native)];
    versions.extend(sizes(&looks::OPERA, words, &[("leaderboard", LEADERBOARD), ("rectangle", RECTANGLE)]));
    desk.ad(set, "Premiere", "opera", versions).map(drop)
}

/// A sponsorship: a share of the front page for a flat fee.
fn wind(desk: &Desk) -> Result<()> {
    let firm = firm(desk, "Northlight Energy Cooperative", "northlight-energy", "energy", None)?;
    let campaign =
        campaign(desk, firm, "Front page sponsor", Objective::Impressions, (Some(euros(1_500)), None))?;
    let bid = Bid::FlatFee { total_micros: euros(1_500) };
    let tier = Tier::Sponsorship { share_ppm: 700_000 };
    let set = ad_set(campaign, "70% of the billboard", tier, bid, Pacing::Asap);
    let set = desk.ad_set(AdSetSpec { targeting: sections(&["front"]), ..set })?;
    let words = Words {
        over: "NORTHLIGHT ENERGY COOPERATIVE",
        title: "The wind belongs to everyone. So does our company.",
        button: "Become a member",
    };
    desk.ad(set, "Members", "wind", sizes(&looks::WIND, words, &[("billboard", BILLBOARD)])).map(drop)
}

/// A budget that is spent within a minute: watch it stop.
fn short(desk: &Desk) -> Result<()> {
    let firm = firm(desk, "Tidal Outlet", "tidal-outlet", "retail", Some(euros(50)))?;
    let campaign = campaign(desk, firm, SHORT_CAMPAIGN, Objective::Impressions, (Some(cents(80)), None))?;
    let set =
        desk.ad_set(ad_set(campaign, "As fast as possible", Tier::Auction, cpm(1_200), Pacing::Asap))?;
    let words = Words {
        over: "TIDAL OUTLET",
        title: "Spring tide clearance: everything must float.",
        button: "Come aboard",
    };
    let list = [("leaderboard", LEADERBOARD), ("rectangle", RECTANGLE)];
    desk.ad(set, "Clearance", "tide", sizes(&looks::TIDE, words, &list)).map(drop)
}
