//! Sites, placements and advertisers.

use super::*;
use crate::t;

async fn finish<'a>(
    app: &AppState,
    caller: &Caller,
    command: Command,
    faults: Faults,
    done: impl Fn(&str) -> String,
    again: impl Fn(Faults, bool) -> layout::Html + 'a,
) -> layout::Html {
    match act::submit(app, caller, command, faults).await? {
        act::Sent::Done(id) => Ok(layout::go(done(&id))),
        act::Sent::Faults(faults) => again(faults, false),
        act::Sent::Conflict => again(Faults::new(), true),
    }
}

fn current_site(app: &App, id: SiteId) -> Result<Data, layout::PageError> {
    let kept = app.platform.catalogue().sites.get(&id).cloned().ok_or_else(|| act::missing(id))?;
    let mut data = Data::default();
    data.set("revision", kept.revision);
    data.set("name", &kept.spec.name);
    data.set("origins", kept.spec.origins.join("\n"));
    data.set_some("language", kept.spec.language);
    Ok(data)
}
fn site_page(
    app: &AppState,
    caller: &Caller,
    id: Option<SiteId>,
    data: &Data,
    faults: &Faults,
    theirs: Option<&Data>,
) -> Response {
    let form = Form { data, faults, theirs };
    let fields = html! {
        fieldset {
            legend { (t!("booking-site")) }
            (form.field("name", t!("words-name")).required())
            (form.field("origins", t!("words-origins")).area(3).hint(t!("booking-whose-pages-may-ask-for")).required())
            (form.field("language", t!("booking-language-of-its-pages")).hint(t!("booking-two-letters-where-the-page")))
        }
    };
    let to = id.map_or_else(|| "/console/sites".to_owned(), |id| format!("/console/sites/{id}"));
    let back = id.map_or_else(|| "/console/inventory".to_owned(), |id| format!("/console/sites/{id}"));
    let title = if id.is_some() { t!("booking-edit-the-site") } else { t!("words-add-a-site") };
    form_page(
        app,
        caller,
        &Place { title, nav: "/console/inventory", to, back, button: t!("booking-save-the-site") },
        &form,
        &fields,
    )
}
pub(super) async fn new_site(State(app): State<AppState>, caller: Caller) -> Response {
    site_page(&app, &caller, None, &Data::default(), &Faults::new(), None)
}
pub(super) async fn edit_site(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> layout::Html {
    let id: SiteId = id.parse().map_err(|_| act::missing(&id))?;
    let data = current_site(&app, id)?;
    Ok(site_page(&app, &caller, Some(id), &data, &Faults::new(), None))
}
pub(super) async fn create_site(State(app): State<AppState>, caller: Caller, data: Data) -> layout::Html {
    put_site(&app, &caller, None, data).await
}
pub(super) async fn save_site(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    data: Data,
) -> layout::Html {
    let id: SiteId = id.parse().map_err(|_| act::missing(&id))?;
    put_site(&app, &caller, Some(id), data).await
}
async fn put_site(app: &AppState, caller: &Caller, id: Option<SiteId>, data: Data) -> layout::Html {
    let spec = SiteSpec {
        name: data.text("name"),
        origins: data.line_list("origins"),
        language: Some(data.text("language")).filter(|t| !t.is_empty()),
    };
    let command = Command::PutSite { id, revision: data.get("revision").parse().ok(), spec };
    let again = |faults: Faults, conflict: bool| {
        let theirs = if conflict { Some(current_site(app, id.unwrap_or_default())?) } else { None };
        let data = renewed(&data, theirs.as_ref());
        Ok(site_page(app, caller, id, &data, &faults, theirs.as_ref()))
    };
    finish(app, caller, command, Faults::new(), |id| format!("/console/sites/{id}"), again).await
}
/// What was typed, on top of the revision that is saved now.
fn renewed(data: &Data, theirs: Option<&Data>) -> Data {
    let mut data = data.clone();
    if let Some(theirs) = theirs {
        data.set("revision", theirs.get("revision"));
    }
    data
}

fn current_placement(app: &App, id: PlacementId) -> Result<(SiteId, Data), layout::PageError> {
    let kept = app.platform.catalogue().placements.get(&id).cloned().ok_or_else(|| act::missing(id))?;
    let (spec, mut data) = (kept.spec, Data::default());
    data.set("revision", kept.revision);
    data.set("name", &spec.name);
    match &spec.format {
        Format::Banner { sizes } => {
            data.set("format.kind", "banner");
            let sizes: Vec<String> = sizes.iter().map(|s| format!("{}x{}", s.width, s.height)).collect();
            data.set("format.sizes", sizes.join(", "));
        }
        Format::Native => data.set("format.kind", "native"),
        Format::Text => data.set("format.kind", "text"),
    }
    for (row, floor) in spec.floors.iter().enumerate() {
        data.set(format!("floors[{row}].tier"), tier_word(floor.tier));
        data.set(format!("floors[{row}].currency"), floor.currency);
        data.set(format!("floors[{row}].micros_per_mille"), micros_text(Micros(floor.micros_per_mille)));
    }
    let blocked: Vec<String> = spec.blocked_advertisers.iter().map(ToString::to_string).collect();
    data.set("blocked_advertisers", blocked.join(", "));
    data.set("blocked_categories", spec.blocked_categories.join(", "));
    data.set("blocked_domains", spec.blocked_domains.join(", "));
    data.set("fallback_html", &spec.fallback_html);
    data.tick("behaviour.lazy", spec.behaviour.lazy);
    data.set("behaviour.refresh_s", spec.behaviour.refresh_s);
    data.tick("behaviour.single_page", spec.behaviour.single_page);
    data.tick("political", spec.political);
    data.set("auction", spec.auction.map_or("", AuctionKind::word));
    data.set("slot_weight_ppm", percent_text(spec.slot_weight_ppm));
    Ok((spec.site, data))
}
const TIERS: [(&str, TierKind); 4] = [
    ("auction", TierKind::Auction),
    ("guaranteed", TierKind::Guaranteed),
    ("sponsorship", TierKind::Sponsorship),
    ("house", TierKind::House),
];
fn read_size(text: &str) -> Option<Size> {
    let (width, height) = text.split_once(['x', 'X', '\u{d7}'])?;
    Some(Size { width: width.trim().parse().ok()?, height: height.trim().parse().ok()? })
}
fn read_placement(site: SiteId, data: &mut Data, faults: &mut Faults) -> PlacementSpec {
    data.compact("floors", &["micros_per_mille"]);
    let mut floors = Vec::new();
    for row in 0..data.rows("floors") {
        let at = |field: &str| format!("floors[{row}].{field}");
        let tier =
            TIERS.iter().find(|(v, _)| *v == data.get(&at("tier"))).map_or(TierKind::Auction, |(_, t)| *t);
        let currency = read_currency(data, &at("currency"), faults);
        floors.push(Floor { tier, currency, micros_per_mille: data.micros(&at("micros_per_mille"), faults) });
    }
    let sizes: Vec<Option<Size>> = data.list("format.sizes").iter().map(|t| read_size(t)).collect();
    let format = match data.get("format.kind") {
        "native" => Format::Native,
        "text" => Format::Text,
        _ => {
            faults.when(
                sizes.iter().any(Option::is_none),
                "format.sizes",
                "malformed",
                t!("booking-sizes-as-300x250-728x90"),
            );
            Format::Banner { sizes: sizes.into_iter().flatten().collect() }
        }
    };
    let blocked: Vec<Option<AdvertiserId>> =
        data.list("blocked_advertisers").iter().map(|t| t.parse().ok()).collect();
    faults.when(
        blocked.iter().any(Option::is_none),
        "blocked_advertisers",
        "malformed",
        t!("booking-ids-such-as-adv-1"),
    );
    PlacementSpec {
        site,
        name: data.text("name"),
        format,
        floors,
        blocked_advertisers: blocked.into_iter().flatten().collect(),
        blocked_categories: data.list("blocked_categories"),
        blocked_domains: data.list("blocked_domains"),
        fallback_html: data.text("fallback_html"),
        behaviour: Behaviour {
            lazy: data.has("behaviour.lazy"),
            refresh_s: data.whole("behaviour.refresh_s", 0, faults),
            single_page: data.has("behaviour.single_page"),
        },
        political: data.has("political"),
        auction: AuctionKind::from_word(data.get("auction")),
        slot_weight_ppm: read_percent(data, "slot_weight_ppm", FULL_WEIGHT_PPM, faults),
    }
}
fn placement_page(
    app: &AppState,
    caller: &Caller,
    site: SiteId,
    id: Option<PlacementId>,
    data: &Data,
    faults: &Faults,
    theirs: Option<&Data>,
) -> Response {
    let form = Form { data, faults, theirs };
    let floors = data.rows("floors") + 1;
    let fields = html! {
        fieldset {
            legend { (t!("words-placement")) }
            (form.field("name", t!("booking-name-in-the-tag")).hint(t!("booking-letters-digits-and-such-as")).required())
            div class="row" {
                (form.field("format.kind", t!("booking-what-fits")).select([("banner", t!("booking-pictures-and-html-of-these")), ("native", t!("booking-native-parts")), ("text", "text")]).required())
                (form.field("format.sizes", t!("booking-sizes")).hint(t!("booking-for-pictures-and-html-300x250")))
            }
            (form.field("political", t!("booking-political-ads-may-appear-here")).check())
        }
        fieldset {
            legend { (t!("booking-price")) }
            div class="row" {
                (form.field("auction", t!("booking-sold-by")).select([("", t!("booking-as-the-settings-say"))].into_iter().chain(AUCTIONS)))
                (form.field("slot_weight_ppm", t!("booking-worth-beside-the-best-place")).amount().unit("percent").hint(t!("booking-read-where-places-are-sold")))
            }
            h3 { (t!("booking-lowest-prices")) }
            @for row in 0..floors {
                @let at = |field: &str| format!("floors[{row}].{field}");
                div class="row" { (form.field(at("micros_per_mille"), t!("booking-a-thousand-impressions")).amount()) (form.field(at("currency"), t!("words-currency"))) (form.field(at("tier"), t!("words-for")).select(TIERS.map(|(v, _)| (v, v)))) }
            }
        }
        fieldset {
            legend { (t!("booking-never-here")) }
            (form.field("blocked_advertisers", t!("booking-advertisers-by-id"))) (form.field("blocked_categories", t!("words-categories")))
            (form.field("blocked_domains", t!("booking-landing-domains")).hint(t!("booking-example-org-covers-its-subdomains")))
        }
        fieldset {
            legend { (t!("booking-in-the-page")) }
            (form.field("behaviour.lazy", t!("booking-ask-only-when-the-place")).check())
            (form.field("behaviour.single_page", t!("booking-ask-again-when-a-single")).check())
            (form.field("behaviour.refresh_s", t!("booking-ask-again-after")).number().unit(t!("booking-seconds-in-view")).hint(t!("booking-0-is-never-otherwise-at")))
            (form.field("fallback_html", t!("booking-shown-when-there-is-no")).area(4).hint(t!("booking-html-without-scripts")))
        }
    };
    let to = id.map_or_else(
        || format!("/console/sites/{site}/placements"),
        |id| format!("/console/placements/{id}"),
    );
    let title = if id.is_some() { t!("booking-edit-the-placement") } else { t!("words-add-a-placement") };
    let place = Place {
        title,
        nav: "/console/inventory",
        to,
        back: format!("/console/sites/{site}"),
        button: t!("booking-save-the-placement"),
    };
    form_page(app, caller, &place, &form, &fields)
}
pub(super) async fn new_placement(
    State(app): State<AppState>,
    caller: Caller,
    Path(site): Path<String>,
) -> layout::Html {
    let site: SiteId = site.parse().map_err(|_| act::missing(&site))?;
    let mut data = Data::default();
    data.set("format.kind", "banner");
    data.set("political", "on");
    data.set("slot_weight_ppm", 100);
    data.set("behaviour.refresh_s", 0);
    Ok(placement_page(&app, &caller, site, None, &data, &Faults::new(), None))
}
pub(super) async fn edit_placement(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> layout::Html {
    let id: PlacementId = id.parse().map_err(|_| act::missing(&id))?;
    let (site, data) = current_placement(&app, id)?;
    Ok(placement_page(&app, &caller, site, Some(id), &data, &Faults::new(), None))
}
pub(super) async fn create_placement(
    State(app): State<AppState>,
    caller: Caller,
    Path(site): Path<String>,
    data: Data,
) -> layout::Html {
    let site: SiteId = site.parse().map_err(|_| act::missing(&site))?;
    put_placement(&app, &caller, site, None, data).await
}
pub(super) async fn save_placement(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    data: Data,
) -> layout::Html {
    let id: PlacementId = id.parse().map_err(|_| act::missing(&id))?;
    let (site, _) = current_placement(&app, id)?;
    put_placement(&app, &caller, site, Some(id), data).await
}
async fn put_placement(
    app: &AppState,
    caller: &Caller,
    site: SiteId,
    id: Option<PlacementId>,
    mut data: Data,
) -> layout::Html {
    let mut faults = Faults::new();
    let spec = read_placement(site, &mut data, &mut faults);
    let command = Command::PutPlacement { id, revision: data.get("revision").parse().ok(), spec };
    let again = |faults: Faults, conflict: bool| {
        let theirs = if conflict { Some(current_placement(app, id.unwrap_or_default())?.1) } else { None };
        let data = renewed(&data, theirs.as_ref());
        Ok(placement_page(app, caller, site, id, &data, &faults, theirs.as_ref()))
    };
    finish(app, caller, command, faults, |_| format!("/console/sites/{site}"), again).await
}

fn current_advertiser(app: &App, id: AdvertiserId) -> Result<Data, layout::PageError> {
    let kept = app.platform.catalogue().advertisers.get(&id).cloned().ok_or_else(|| act::missing(id))?;
    let (spec, mut data) = (kept.spec, Data::default());
    data.set("revision", kept.revision);
    data.set("name", &spec.name);
    data.set("currency", spec.currency);
    data.set("zone", spec.zone.name());
    match spec.funding {
        Funding::Prepaid => data.set("funding.kind", "prepaid"),
        Funding::Credit { limit_micros } => {
            data.set("funding.kind", "credit");
            data.set("funding.limit_micros", micros_text(limit_micros));
        }
    }
    data.set("categories", spec.categories.join(", "));
    data.set_some("pixel_conversions.daily_count_max", spec.pixel_conversions.map(|p| p.daily_count_max));
    data.set("invoice_address", &spec.invoice_address);
    Ok(data)
}
fn advertiser_page(
    app: &AppState,
    caller: &Caller,
    id: Option<AdvertiserId>,
    data: &Data,
    faults: &Faults,
    theirs: Option<&Data>,
) -> Response {
    let form = Form { data, faults, theirs };
    let fields = html! {
        fieldset {
            legend { (t!("words-advertiser")) }
            (form.field("name", t!("words-name")).required())
            (form.field("invoice_address", t!("words-invoice-address")).area(4))
            div class="row" {
                (form.field("currency", t!("words-currency")).hint(t!("words-fixed-once-a-campaign-is")).required())
                (form.field("zone", t!("booking-time-zone-of-its-days")).hint(t!("booking-such-as-europe-paris-fixed")).required())
            }
            (form.field("categories", t!("booking-what-it-advertises")).hint(t!("booking-categories-separated-by-commas-competitors")))
        }
        fieldset {
            legend { (t!("booking-payment")) }
            div class="row" {
                (form.field("funding.kind", t!("words-pays")).select([("prepaid", t!("words-in-advance")), ("credit", t!("booking-by-invoice-up-to-a"))]).required())
                (form.field("funding.limit_micros", t!("booking-limit-of-open-charges")).amount().hint(t!("booking-only-when-it-pays-by")))
            }
            (form.field("pixel_conversions.daily_count_max", t!("booking-pixel-conversions-billed-a-day")).number().hint(t!("booking-they-are-not-authenticated-empty")))
        }
    };
    let to = id.map_or_else(|| "/console/advertisers".to_owned(), |id| format!("/console/advertisers/{id}"));
    let title = if id.is_some() { t!("booking-edit-the-advertiser") } else { t!("words-add-an-advertiser") };
    form_page(
        app,
        caller,
        &Place {
            title,
            nav: "/console/advertisers",
            back: to.clone(),
            to,
            button: t!("booking-save-the-advertiser"),
        },
        &form,
        &fields,
    )
}
pub(super) async fn new_advertiser(State(app): State<AppState>, caller: Caller) -> Response {
    let mut data = Data::default();
    let publisher =
        app.platform.catalogue().publisher.as_ref().map(|p| (p.spec.auction_currency, p.spec.zone.clone()));
    if let Some((currency, zone)) = publisher {
        data.set("currency", currency);
        data.set("zone", zone.name());
    }
    data.set("funding.kind", "prepaid");
    advertiser_page(&app, &caller, None, &data, &Faults::new(), None)
}
pub(super) async fn edit_advertiser(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> layout::Html {
    let id: AdvertiserId = id.parse().map_err(|_| act::missing(&id))?;
    let data = current_advertiser(&app, id)?;
    Ok(advertiser_page(&app, &caller, Some(id), &data, &Faults::new(), None))
}
pub(super) async fn create_advertiser(
    State(app): State<AppState>,
    caller: Caller,
    data: Data,
) -> layout::Html {
    put_advertiser(&app, &caller, None, data).await
}
pub(super) async fn save_advertiser(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    data: Data,
) -> layout::Html {
    let id: AdvertiserId = id.parse().map_err(|_| act::missing(&id))?;
    put_advertiser(&app, &caller, Some(id), data).await
}
async fn put_advertiser(
    app: &AppState,
    caller: &Caller,
    id: Option<AdvertiserId>,
    data: Data,
) -> layout::Html {
    let mut faults = Faults::new();
    let funding = match data.get("funding.kind") {
        "credit" => {
            Funding::Credit { limit_micros: Micros(data.micros("funding.limit_micros", &mut faults)) }
        }
        _ => Funding::Prepaid,
    };
    let pixel = "pixel_conversions.daily_count_max";
    let spec = AdvertiserSpec {
        name: data.text("name"),
        currency: read_currency(&data, "currency", &mut faults),
        zone: read_zone(&data, "zone", &mut faults),
        funding,
        categories: data.list("categories"),
        pixel_conversions: data
            .has(pixel)
            .then(|| PixelConversions { daily_count_max: data.whole(pixel, 0, &mut faults) }),
        invoice_address: data.text("invoice_address"),
    };
    let command = Command::PutAdvertiser { id, revision: data.get("revision").parse().ok(), spec };
    let again = |faults: Faults, conflict: bool| {
        let theirs = if conflict { Some(current_advertiser(app, id.unwrap_or_default())?) } else { None };
        let data = renewed(&data, theirs.as_ref());
        Ok(advertiser_page(app, caller, id, &data, &faults, theirs.as_ref()))
    };
    finish(app, caller, command, faults, |id| format!("/console/advertisers/{id}"), again).await
}
