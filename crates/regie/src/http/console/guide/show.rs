//! The pages of the steps. Each is one form whose buttons keep what was typed: on, back, look again, leave.

use super::{Step, Whole, data_of, is_political, whole};
use crate::desk::Draft;
use crate::http::{
    App, AppState,
    auth::Caller,
    console::{
        act, book_ad, book_campaign, book_set, campaigns, form::Form, layout, learning, targeting_rows, ui,
    },
};
use crate::i18n::rooms::say;
use crate::{t, th};
use axum::{http::StatusCode, response::Response};
use maud::{Markup, html};
use regie_model::{
    Faults, Zone,
    booking::{Declaration, Shape},
    catalogue::Catalogue,
    creative::ObjectHash,
    targeting::{Dimension, Political, Targeting},
};

/// Placements that can be ticked; others are named by their ids.
const PLACES_MAX: usize = 60;
/// Versions that are previewed.
const PREVIEWS_MAX: usize = 6;
/// Rows of written versions that are offered empty.
const SPARE: usize = 1;

/// One step of a draft, with what is wrong with it.
pub(super) fn step(
    app: &AppState,
    caller: &Caller,
    draft: &Draft,
    step: Step,
    whole: &Whole,
    faults: &Faults,
) -> Response {
    let mut data = data_of(draft, step);
    if step == Step::Creative && data.get("kind") == "template" && !data.has("layout") {
        // The slots that words have, so that nobody has to know their names.
        for (name, value) in [("layout", "text"), ("slots[0].name", "title"), ("slots[1].name", "body")] {
            data.set(name, value);
        }
    }
    let form = Form { data: &data, faults, theirs: None };
    let political = is_political(draft);
    let fields = match step {
        Step::Goal => goal(app, caller, &form),
        Step::Audience => audience(app, &form, whole, political),
        Step::Creative => creative(app, draft, &form, whole, political),
        Step::Declaration => html! {
            p { (t!("booking-by-for-or-on-behalf")) }
            fieldset { legend { (t!("booking-declaration")) } (book_campaign::declared(&form, &book_campaign::votes(app))) }
        },
        Step::Launch => last_look(app, draft, whole, political),
    };
    let way = Step::of(political);
    let body = html! {
        (steps(draft, &way, step, whole))
        (form.summary_of_draft())
        form method="post" action={ "/console/book/" (draft.id) "/" (step.word()) } enctype="multipart/form-data" data-guard="" data-drafted="" data-kept=(t!("booking-kept-here")) data-restore=(t!("booking-restore")) novalidate {
            (layout::csrf(caller))
            // The first button is the one that the Enter key presses.
            @if step != Step::Launch { button class="visually-hidden" name="go" value="next" tabindex="-1" aria-hidden="true" { (t!("guide-next")) } }
            (fields)
            (buttons(app, draft, step, whole))
        }
    };
    let title = if data_of(draft, Step::Goal).has("name") {
        format!("{}: {}", data_of(draft, Step::Goal).text("name"), step.title())
    } else {
        format!("{}: {}", t!("words-book-a-campaign"), step.title())
    };
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let frame = layout::Frame::new(&title, "/console/campaigns")
        .crumb("/console/campaigns", t!("words-campaigns"))
        .crumb("/console/book", t!("guide-drafts"));
    layout::console_with(status, app, caller, &frame, &body)
}

/// Where on the way; each step can be gone to at once.
fn steps(draft: &Draft, way: &[Step], here: Step, whole: &Whole) -> Markup {
    html! {
        nav aria-label=(t!("guide-steps")) { ol class="steps way" {
            @for (number, step) in way.iter().enumerate() {
                @let is_done = *step != Step::Launch && draft.content.steps.contains_key(step.word()) && whole.faults.get(step).is_none_or(Faults::is_empty);
                li { a href={ "/console/book/" (draft.id) "/" (step.word()) } aria-current=[(*step == here).then_some("step")] {
                    (number + 1) ". " (step.title()) @if is_done { " \u{2713}" span class="visually-hidden" { " " (t!("guide-done")) } }
                } }
            }
        } }
    }
}

fn buttons(app: &App, draft: &Draft, step: Step, whole: &Whole) -> Markup {
    html! {
        div class="buttons" {
            @if step == Step::Launch {
                button class="primary" name="go" value="launch" disabled[!whole.is_sound()] { (t!("guide-launch-now")) }
                button name="go" value="book" disabled[!whole.is_sound()] { (t!("guide-book-only")) }
            } @else { button class="primary" name="go" value="next" { (t!("guide-next")) } }
            @if step != Step::Goal { button name="go" value="back" formnovalidate { (t!("guide-back")) } }
            @if matches!(step, Step::Goal | Step::Declaration) { button name="go" value="look" formnovalidate data-follow="#kept" { (t!("guide-keep")) } }
            button name="go" value="leave" formnovalidate { (t!("guide-leave")) }
        }
        p id="kept" class="small muted" role="status" { (th!("guide-kept-at", time = ui::when(draft.changed_at, &act::zone(app)))) }
    }
}

fn goal(app: &App, caller: &Caller, form: &Form<'_>) -> Markup {
    html! {
        (book_campaign::basics(form, &book_campaign::choices(app, caller)))
        fieldset {
            legend { (t!("booking-political-advertising")) }
            p { (t!("booking-by-for-or-on-behalf")) }
            (book_campaign::is_political(form))
            p class="small muted" { (t!("guide-declared-later")) }
        }
    }
}

fn audience(app: &App, form: &Form<'_>, whole: &Whole, political: bool) -> Markup {
    let offered = |word: &str| {
        let dimension = word.parse::<Dimension>();
        !political || dimension.map_or(true, |d| d.political() != Political::Never)
    };
    html! {
        (book_set::price(form))
        (places(app, form, political))
        fieldset {
            legend { (t!("guide-devices")) }
            p { (t!("guide-none-means-all")) }
            div class="row" { @for device in whole::DEVICES { (form.field(format!("device.{device}"), &say(device)).check()) } }
        }
        details open[form.data.rows("targeting") > 0 || form.faults.0.iter().any(|f| f.field.starts_with("targeting"))] {
            summary { (t!("guide-more-conditions")) }
            @if political { p class="note" { (t!("guide-political-limits")) } }
            (targeting_rows::rows(form, offered))
        }
        details open[form.data.has("lifetime_budget_micros") || form.faults.0.iter().any(|f| f.field.starts_with("caps"))] {
            summary { (t!("booking-how-it-is-spread")) }
            (form.field("name", t!("guide-set-name")))
            (book_set::spread(form))
        }
        fieldset id="forecast" {
            legend { (t!("booking-forecast")) }
            (whole.forecast)
            button name="go" value="look" formnovalidate data-follow="#forecast" { (t!("guide-forecast-again")) }
        }
    }
}
/// The publisher's places, by site, to tick.
fn places(app: &App, form: &Form<'_>, political: bool) -> Markup {
    use regie_model::booking::Status;
    let catalogue = app.platform.catalogue();
    let open = |status: Status| status == Status::Active;
    let listed: Vec<_> = catalogue
        .placements
        .iter()
        .filter(|(_, p)| open(p.status) && (p.spec.political || !political))
        .take(PLACES_MAX)
        .collect();
    let sites: std::collections::BTreeSet<_> = listed.iter().map(|(_, p)| p.spec.site).collect();
    html! {
        fieldset {
            legend { (t!("guide-where")) }
            p { (t!("guide-none-means-all")) }
            @for site in sites { @if let Some(kept) = catalogue.sites.get(&site).filter(|s| open(s.status)) {
                h3 { (kept.spec.name) }
                div class="ticks" { @for (id, place) in listed.iter().filter(|(_, p)| p.spec.site == site) {
                    (form.field(format!("place.{id}"), &place.spec.name).check().hint(super::super::inventory::format_words(&place.spec.format)))
                } }
            } }
        }
    }
}

fn creative(app: &App, draft: &Draft, form: &Form<'_>, whole: &Whole, political: bool) -> Markup {
    let kind = form.data.get("kind");
    let kinds = [
        ("image", t!("booking-picture")),
        ("html", "HTML"),
        ("native", t!("booking-native")),
        ("text", t!("words-text")),
        ("template", t!("guide-template")),
    ];
    html! {
        fieldset {
            legend { (t!("words-ad")) }
            (form.field("landing_url", t!("words-landing-page")).url().hint(t!("booking-where-a-click-goes-and")).required())
            div class="row" {
                (form.field("kind", t!("guide-kind")).select(kinds).required())
                div class="field" { label for="f-go-kind" { (t!("guide-kind-fields")) } button id="f-go-kind" name="go" value="look" formnovalidate { (t!("guide-kind-show")) } }
            }
            details open[form.data.has("third_party_origins")] {
                summary { (t!("booking-third-party-origins")) }
                (form.field("name", t!("guide-ad-name")))
                (form.field("third_party_origins", t!("booking-origins-that-its-html-may")).area(3).hint(t!("booking-one-a-line-such-as")))
            }
        }
        @if kind == "template" {
            fieldset { legend { (t!("guide-template")) } p { (t!("guide-template-about")) } (learning::template::slots(form)) }
        } @else { (versions(form, kind)) }
        section id="previews" {
            h2 { (t!("guide-as-seen")) }
            p { button name="go" value="look" formnovalidate data-follow="#previews" { (t!("guide-look-again")) } }
            (previews(app, draft, whole, political))
        }
    }
}
fn versions(form: &Form<'_>, kind: &str) -> Markup {
    let pictures = kind == "image";
    let rows = form.data.rows("versions") + if pictures { 0 } else { SPARE };
    html! {
        fieldset {
            legend { (t!("words-versions")) }
            p { (t!("guide-versions-about")) }
            @if pictures { (upload(form)) }
            @for row in 0..rows {
                @let prefix = format!("versions[{row}].");
                @let asset = form.data.get(&format!("{prefix}creative.asset"));
                div class="version" {
                    h3 { (th!("guide-version", number = row + 1)) }
                    (form.faults_at(&format!("versions[{row}].creative")))
                    (form.faults_at(&format!("{prefix}creative.asset")))
                    @if let Some(hash) = ObjectHash::parse(asset) {
                        img class="adframe small" src={ "/v1/assets/" (hash) } alt=(t!("booking-the-picture-as-uploaded"));
                        input type="hidden" name={ (prefix) "creative.asset" } value=(hash);
                    }
                    (book_ad::parts(form, kind, &prefix, &html! {}))
                    @if row < form.data.rows("versions") { (form.field(format!("{prefix}remove"), t!("guide-remove")).check()) }
                }
            }
        }
    }
}
fn upload(form: &Form<'_>) -> Markup {
    let faults: Vec<String> =
        form.faults.0.iter().filter(|f| f.field == "file").map(|f| say(&f.message)).collect();
    html! {
        div class=(if faults.is_empty() { "field" } else { "field bad" }) {
            label for="f-file" { (t!("guide-pictures")) }
            p class="hint" id="h-file" { (t!("booking-png-jpeg-gif-or-webp")) }
            input id="f-file" type="file" name="file" multiple data-send="look" aria-describedby="h-file" accept="image/png,image/jpeg,image/gif,image/webp";
            @if !faults.is_empty() { p class="fault" { (faults.join(" ")) } }
        }
        button name="go" value="look" formnovalidate { (t!("guide-upload")) }
    }
}
/// Every version as it will be seen, at its own size, with the places that take it.
fn previews(app: &App, draft: &Draft, whole: &Whole, political: bool) -> Markup {
    let catalogue = app.platform.catalogue();
    let numbers = whole.shown(PREVIEWS_MAX);
    html! {
        @if numbers.is_empty() { p class="muted" { (t!("guide-nothing-to-see")) } }
        @if let Some(template) = &whole.ad.template { p { (th!("learning-combinations-count", count = ui::count(template.combinations_count()))) } }
        @for number in numbers { @if let Some(creative) = whole.creative(number) {
            @let shape = Shape::of(&creative);
            @let places = whole::places(&catalogue, &creative, &whole.set.targeting, political);
            section class="card" {
                (fit(&catalogue, &places))
                div class="sizes" { @for (width, height) in sizes(shape) {
                    div class="preview" { iframe class="adframe" src={ "/console/book/" (draft.id) "/preview/" (number) } width=(width) height=(height) sandbox="allow-scripts" loading="lazy" title={ (th!("guide-preview-of", width = width, height = height)) } {} }
                } }
            }
        } }
    }
}
/// Where a version fits; that it would never be shown, and what to do about it.
fn fit(catalogue: &Catalogue, places: &whole::Places) -> Markup {
    let list = |names: &[String]| names.iter().take(8).cloned().collect::<Vec<_>>().join("; ");
    let sold = || {
        let all = whole::sizes(catalogue);
        all.iter().take(8).map(|s| format!("{} \u{d7} {}", s.width, s.height)).collect::<Vec<_>>().join(", ")
    };
    html! {
        @if !places.chosen.is_empty() { p class="small muted" { (th!("guide-fits", places = list(&places.chosen), count = places.chosen.len())) } }
        @else if !places.others.is_empty() { div class="note warn" { p { (t!("guide-fits-not-chosen")) } p class="small" { (th!("guide-fits-others", places = list(&places.others))) } } }
        @else { div class="note warn" { p { (t!("guide-fits-nowhere")) } p class="small" { (th!("guide-sizes-sold", sizes = sold())) } } }
    }
}
/// A banner has its size; what the page lays out is shown on a phone's column and on a wide one.
fn sizes(shape: Shape) -> Vec<(u16, u16)> {
    match shape {
        Shape::Banner(size) => vec![(size.width, size.height)],
        Shape::Native => vec![(320, 380), (600, 380)],
        Shape::Text => vec![(320, 160), (600, 130)],
    }
}

fn last_look(app: &App, draft: &Draft, whole: &Whole, political: bool) -> Markup {
    let catalogue = app.platform.catalogue();
    let spec = &whole.campaign;
    let money = campaigns::currency(&catalogue, spec.advertiser);
    let zone = act::account_zone(&catalogue, spec.advertiser);
    let account =
        catalogue.advertisers.get(&spec.advertiser).map_or_else(String::new, |a| a.spec.name.clone());
    let amount = |m: Option<regie_model::Micros>| {
        m.map_or_else(|| t!("console-no-limit").to_owned(), |m| ui::money_micros(m, money))
    };
    html! {
        @for step in Step::of(political) {
            @let faults = whole.faults.get(&step).cloned().unwrap_or_default();
            @if !faults.is_empty() { div class="note bad" { p { strong { (th!("guide-mend-in", step = step.title())) } " " a href={ "/console/book/" (draft.id) "/" (step.word()) } { (t!("guide-go-there")) } } ul { @for f in &faults.0 { li { (say(&f.message)) } } } } }
        }
        section class="card" {
            (part(draft, Step::Goal))
            dl class="facts" {
                dt { (t!("words-name")) } dd { (spec.name) }
                dt { (t!("words-advertiser")) } dd { (account) }
                dt { (t!("words-sponsor")) } dd { (act::party_name(app, spec.sponsor)) }
                dt { (t!("words-payer")) } dd { (act::party_name(app, spec.payer)) }
                dt { (t!("words-objective")) } dd { (say(book_campaign::objective_word(spec.objective))) }
                dt { (t!("console-flight")) } dd { (flight(whole, &zone)) }
                dt { (t!("words-budget-in-all")) } dd { (amount(spec.lifetime_budget_micros)) }
                dt { (t!("words-budget-a-day")) } dd { (amount(spec.daily_budget_micros)) }
            }
        }
        section class="card" {
            (part(draft, Step::Audience))
            p { (campaigns::bid_words(&whole.set.bid, money)) ", " (book_set::tier_words(&whole.set.tier)) ". " (say(&regie_record::targeting_in_words(&with_names(&catalogue, &whole.set.targeting)))) }
            (whole.forecast)
        }
        section class="card" { (part(draft, Step::Creative)) p class="wrap-any" { (whole.ad.landing_url) } (previews(app, draft, whole, political)) }
        @if let Some(declaration) = &spec.political { section class="card" { (part(draft, Step::Declaration)) (declared(declaration)) p { (t!("console-declared-as-political-its-notice")) } } }
        p { (t!("guide-what-happens")) }
    }
}
/// The declared facts once more, before they are public.
fn declared(declaration: &Declaration) -> Markup {
    let linked = declaration.linked.iter().map(|process| {
        let day = process.held_on.map(|day| format!(", {}", ui::day(day))).unwrap_or_default();
        format!("{}{day}", process.name)
    });
    let linked = linked.collect::<Vec<_>>().join("; ");
    let others = declaration
        .other_providers
        .iter()
        .map(|other| other.provider.as_str())
        .collect::<Vec<_>>()
        .join("; ");
    let origin = &declaration.origin;
    let money = [
        (origin.public, t!("booking-public-money")),
        (origin.private, t!("booking-private-money")),
        (origin.inside_union, t!("booking-from-inside-the-union")),
        (origin.outside_union, t!("booking-from-outside-the-union")),
    ];
    let money =
        money.into_iter().filter(|(on, _)| *on).map(|(_, words)| words).collect::<Vec<_>>().join("; ");
    html! {
        dl class="facts" {
            dt { (t!("booking-linked-elections-referendums-legislative-pro")) } dd { @if linked.is_empty() { (t!("booking-there-is-none")) } @else { (linked) } }
            dt { (t!("booking-what-other-providers-received")) } dd { @if others.is_empty() { (t!("booking-nobody-else-received-anything")) } @else { (others) } }
            dt { (t!("booking-where-the-money-comes-from")) } dd { (money) }
        }
    }
}
/// Places and sites by their names instead of their ids, for reading.
fn with_names(catalogue: &Catalogue, targeting: &Targeting) -> Targeting {
    let name = |dimension: &Dimension, id: &String| match dimension {
        Dimension::Placement => catalogue.placements.get(&id.parse().ok()?).map(|p| p.spec.name.clone()),
        Dimension::Site => catalogue.sites.get(&id.parse().ok()?).map(|s| s.spec.name.clone()),
        _ => None,
    };
    let mut read = targeting.clone();
    for clause in &mut read.clauses {
        for value in &mut clause.values {
            *value = name(&clause.dimension, value).unwrap_or_else(|| value.clone());
        }
    }
    read
}
fn part(draft: &Draft, step: Step) -> Markup {
    html! { div class="head" { h2 { (step.title()) } a class="btn" href={ "/console/book/" (draft.id) "/" (step.word()) } { (t!("words-edit")) } } }
}
fn flight(whole: &Whole, zone: &Zone) -> String {
    let from = ui::when(whole.campaign.flight.starts_at, zone);
    match whole.campaign.flight.ends_at {
        Some(end) => format!("{from} \u{2013} {}", ui::when(end, zone)),
        None => t!("guide-until-stopped", from = from),
    }
}
