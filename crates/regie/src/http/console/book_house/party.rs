//! Sponsors and payers. What is typed is sealed before it is journalled (law J1).

use super::*;
use crate::t;

fn current(app: &App, caller: &Caller, id: PartyId) -> Result<Data, layout::PageError> {
    let kept = {
        let catalogue = app.platform.catalogue();
        let seen = booking::scope::may_see(&catalogue, caller, EntityRef::Party(id));
        catalogue.parties.get(&id).filter(|_| seen).cloned().ok_or_else(|| act::missing(id))?
    };
    let identity =
        app.platform.secrets.unseal(&kept.spec.identity).map_err(crate::http::problem::Problem::internal)?;
    let (identity, mut data) = (identity.unwrap_or_default(), Data::default());
    data.set("revision", kept.revision);
    data.set("kind", if kept.spec.kind == PartyKind::Person { "person" } else { "organisation" });
    for (name, text) in [
        ("identity.name", &identity.name),
        ("identity.email", &identity.email),
        ("identity.postal_address", &identity.postal_address),
        ("identity.controller", &identity.controller),
        ("identity.register_id", &identity.register_id),
        ("established_in", &kept.spec.established_in),
    ] {
        data.set(name, text);
    }
    data.tick("may_sponsor_before_votes", kept.spec.may_sponsor_before_votes);
    data.set_some("advertiser", kept.spec.advertiser);
    Ok(data)
}

fn read(data: &Data, caller: &Caller, faults: &mut Faults) -> PartySpec {
    let known = ["person", "organisation"].contains(&data.get("kind"));
    faults.when(!known, "kind", "missing", t!("booking-choose-what-it-is"));
    PartySpec {
        kind: if data.get("kind") == "person" { PartyKind::Person } else { PartyKind::Organisation },
        identity: Identity {
            name: data.text("identity.name"),
            email: data.text("identity.email"),
            postal_address: data.text("identity.postal_address"),
            controller: data.text("identity.controller"),
            register_id: data.text("identity.register_id"),
        },
        established_in: data.text("established_in").to_uppercase(),
        may_sponsor_before_votes: data.has("may_sponsor_before_votes"),
        advertiser: caller.scope_filter().or_else(|| data.get("advertiser").parse().ok()),
    }
}

pub(super) async fn new(State(app): State<AppState>, caller: Caller) -> Response {
    let mut data = Data::default();
    data.set("kind", "organisation");
    render(&app, &caller, None, &data, &Faults::new(), None)
}
pub(super) async fn edit(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> layout::Html {
    let id: PartyId = id.parse().map_err(|_| act::missing(&id))?;
    let data = current(&app, &caller, id)?;
    Ok(render(&app, &caller, Some(id), &data, &Faults::new(), None))
}
pub(super) async fn create(State(app): State<AppState>, caller: Caller, data: Data) -> layout::Html {
    put(&app, &caller, None, data).await
}
pub(super) async fn save(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    data: Data,
) -> layout::Html {
    let id: PartyId = id.parse().map_err(|_| act::missing(&id))?;
    put(&app, &caller, Some(id), data).await
}
async fn put(app: &AppState, caller: &Caller, id: Option<PartyId>, mut data: Data) -> layout::Html {
    let mut faults = Faults::new();
    let spec = read(&data, caller, &mut faults);
    let command = Command::PutParty { id, revision: data.get("revision").parse().ok(), spec };
    match act::submit(app, caller, command, faults).await? {
        act::Sent::Done(_) => Ok(layout::go("/console/parties")),
        act::Sent::Faults(faults) => Ok(render(app, caller, id, &data, &faults, None)),
        act::Sent::Conflict => {
            let theirs = current(app, caller, id.unwrap_or_default())?;
            data.set("revision", theirs.get("revision"));
            Ok(render(app, caller, id, &data, &Faults::new(), Some(&theirs)))
        }
    }
}

fn render(
    app: &AppState,
    caller: &Caller,
    id: Option<PartyId>,
    data: &Data,
    faults: &Faults,
    theirs: Option<&Data>,
) -> Response {
    let form = Form { data, faults, theirs };
    let advertisers: Vec<(String, String)> = {
        let catalogue = app.platform.catalogue();
        let all =
            catalogue.advertisers.iter().map(|(id, a)| (id.to_string(), format!("{} ({id})", a.spec.name)));
        std::iter::once((String::new(), t!("booking-the-publisher-s-anybody-in").to_owned()))
            .chain(all)
            .collect()
    };
    let fields = html! {
        fieldset {
            legend { (t!("booking-who-it-is")) }
            (form.field("kind", t!("booking-it-is")).select([("organisation", t!("booking-an-organisation-company-party-association")), ("person", t!("booking-a-person"))]).required())
            (form.field("identity.name", t!("booking-full-name")).hint(t!("booking-public-on-every-ad")).required())
            (form.field("identity.controller", t!("booking-who-ultimately-controls-it-if")).hint(t!("booking-public")))
            div class="row" { (form.field("established_in", t!("booking-country-of-establishment")).hint(t!("booking-two-letters-such-as-fr")).required()) (form.field("identity.register_id", t!("booking-public-register-and-number"))) }
            @if caller.sees_everything() { (form.field("advertiser", t!("booking-whose")).select(advertisers)) }
        }
        fieldset {
            legend { (t!("words-for-political-ads")) }
            p { (t!("booking-the-notice-of-a-political")) }
            (form.field("identity.email", t!("words-e-mail")))
            (form.field("identity.postal_address", t!("booking-postal-address")).area(3))
            (form.field("may_sponsor_before_votes", t!("booking-may-sponsor-in-the-three")).check().hint(t!("booking-union-citizen-resident-with-voting")))
        }
    };
    let to = id.map_or_else(|| "/console/parties".to_owned(), |id| format!("/console/parties/{id}"));
    let title = if id.is_some() {
        t!("booking-edit-the-sponsor-or-payer")
    } else {
        t!("words-add-a-sponsor-or-payer")
    };
    let place = Place {
        title,
        nav: "/console/parties",
        to,
        back: "/console/parties".into(),
        button: t!("words-save"),
    };
    form_page(app, caller, &place, &form, &fields)
}
