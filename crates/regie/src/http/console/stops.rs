//! One switch for everything paid, a sponsor, or an ad: in force in under a second, with the reason in public.

use super::{
    HOUSE, OPERATES, act, action,
    form::{Data, Form},
    layout, page, ui,
};
use crate::http::{AppState, Route, auth::Caller};
use crate::t;
use axum::{
    extract::State,
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use maud::html;
use regie_model::{
    Faults,
    catalogue::Catalogue,
    command::{Command, Stop},
};

/// The module's routes.
pub fn routes() -> Vec<Route> {
    vec![page("/console/stops", HOUSE, get(show)), action("/console/stops", OPERATES, post(switch))]
}

/// What a switch is about, in words. Sponsors by number: names are shown where they may be.
pub fn words(catalogue: &Catalogue, what: &Stop) -> String {
    match what {
        Stop::AllPaid => t!("console-everything-paid").into(),
        Stop::Sponsor(id) => t!("console-sponsor", id = id),
        Stop::Ad(id) => {
            let name = catalogue.ads.get(id).map_or_else(String::new, |a| a.kept.spec.name.clone());
            t!("console-ad", id = id, name = name)
        }
    }
}
fn key(what: &Stop) -> String {
    match what {
        Stop::AllPaid => "all_paid".into(),
        Stop::Sponsor(id) => id.to_string(),
        Stop::Ad(id) => id.to_string(),
    }
}
fn parse(text: &str) -> Option<Stop> {
    let text = text.trim();
    match text {
        "all_paid" => Some(Stop::AllPaid),
        _ => text.parse().map(Stop::Sponsor).ok().or_else(|| text.parse().map(Stop::Ad).ok()),
    }
}

async fn show(State(app): State<AppState>, caller: Caller) -> Response {
    render(&app, &caller, &Data::default(), &Faults::new())
}

/// The page; `data` and `faults` are those of the one form that was sent.
fn render(app: &AppState, caller: &Caller, data: &Data, faults: &Faults) -> Response {
    let (nothing, none) = (Data::default(), Faults::new());
    let of = |which: &str| {
        let is_sent = data.get("form") == which;
        Form {
            data: if is_sent { data } else { &nothing },
            faults: if is_sent { faults } else { &none },
            theirs: None,
        }
    };
    let (all, sponsor, ad) = (of("all"), of("sponsor"), of("ad"));
    let stops = app.platform.catalogue().stops.clone();
    let parties: Vec<_> = {
        let catalogue = app.platform.catalogue();
        catalogue
            .parties
            .keys()
            .map(|id| (id.to_string(), format!("{} ({id})", act::party_name(app, *id))))
            .collect()
    };
    let may = caller.may_operate();
    let body = html! {
        p class="lead" { (t!("console-a-stop-holds-in-under")) }
        div class="card flush" {
            div class="cardhead" { h2 { (t!("console-in-force")) } }
            @if stops.is_empty() { (ui::empty(t!("console-nothing-is-stopped"))) }
            @else {
                table {
                    thead { tr { th { (t!("words-what")) } th { (t!("words-reason")) } th {} } }
                    tbody {
                        @for (what, reason) in &stops {
                            tr {
                                th scope="row" {
                                    (words(&app.platform.catalogue(), what))
                                    @if let Stop::Sponsor(id) = what { span class="small muted" { (act::party_name(app, *id)) } }
                                }
                                td { @if reason.is_empty() { span class="muted" { (t!("console-no-reason-given")) } } @else { (reason) } }
                                td class="right" {
                                    @if may {
                                        form method="post" action="/console/stops" data-confirm=(t!("console-lift-this-stop-its-ads")) {
                                            (layout::csrf(caller)) input type="hidden" name="what" value=(key(what)); input type="hidden" name="on" value="";
                                            button { (t!("console-lift")) }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        @if may {
            div class="grid" {
                @if !stops.contains_key(&Stop::AllPaid) {
                    form class="card" method="post" action="/console/stops" data-confirm=(t!("console-stop-every-paid-ad-now")) {
                        h2 { (t!("console-stop-everything-paid")) }
                        (layout::csrf(caller)) input type="hidden" name="form" value="all"; input type="hidden" name="what" value="all_paid"; input type="hidden" name="on" value="on";
                        (all.field("reason", t!("console-reason-for-the-record")).marked("all"))
                        button class="danger" { (t!("console-stop-all-paid-ads")) }
                    }
                }
                form class="card" method="post" action="/console/stops" {
                    h2 { (t!("console-stop-a-sponsor")) }
                    (layout::csrf(caller)) input type="hidden" name="form" value="sponsor"; input type="hidden" name="on" value="on";
                    (sponsor.field("what", t!("words-sponsor")).select(parties).required().marked("sponsor"))
                    (sponsor.field("reason", t!("console-reason-for-the-record")).marked("sponsor"))
                    button class="danger" { (t!("console-stop-this-sponsor-s-ads")) }
                }
                form class="card" method="post" action="/console/stops" {
                    h2 { (t!("console-stop-one-ad")) }
                    (layout::csrf(caller)) input type="hidden" name="form" value="ad"; input type="hidden" name="on" value="on";
                    (ad.field("what", t!("console-the-ad-s-id-such")).required().marked("ad"))
                    (ad.field("reason", t!("console-reason-for-the-record")).marked("ad"))
                    button class="danger" { (t!("console-stop-this-ad")) }
                }
            }
        }
    };
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    layout::console_with(
        status,
        app,
        caller,
        &layout::Frame::new(t!("console-stops"), "/console/stops"),
        &body,
    )
}

async fn switch(State(app): State<AppState>, caller: Caller, data: Data) -> layout::Html {
    let Some(what) = parse(data.get("what")) else {
        let mut faults = Faults::new();
        faults.add("what", "unknown", "Name a sponsor (party_1) or an ad (ad_1).");
        return Ok(render(&app, &caller, &data, &faults));
    };
    let command = Command::SetStop { what, on: data.has("on"), reason: data.text("reason") };
    match act::submit(&app, &caller, command, Faults::new()).await? {
        act::Sent::Faults(faults) => Ok(render(&app, &caller, &data, &faults)),
        act::Sent::Done(_) | act::Sent::Conflict => Ok(layout::go("/console/stops")),
    }
}
