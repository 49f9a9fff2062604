//! What is booked, as JSON: with id, revision, status, times, the spec, and where reviews stand.
//!
//! A caller limited to one advertiser sees of the publisher's things only what booking needs (no floors, no blocks).
//! Contact data of parties is decrypted only for those who may see it (law J1).

use super::{kind::id_of, scope};
use crate::{
    http::{App, auth::Caller},
    platform::view::WITHHELD,
};
use regie_model::{
    booking::{PlacementSpec, SealedParty, Shape, VersionRecord},
    catalogue::{AdState, Catalogue, Kept, VersionState},
    command::EntityRef,
    creative::ObjectHash,
};
use serde::Serialize;
use serde_json::{Value, json};

/// A thing as a caller may see it; nothing when there is none, for them.
pub fn show(app: &App, catalogue: &Catalogue, caller: &Caller, entity: EntityRef) -> Option<Value> {
    if !scope::may_see(catalogue, caller, entity) {
        return None;
    }
    let id = id_of(entity).1;
    Some(match entity {
        EntityRef::Site(key) => kept(&id, catalogue.sites.get(&key)?),
        EntityRef::Placement(key) => placement(&id, caller, catalogue.placements.get(&key)?),
        EntityRef::Segment(key) => kept(&id, catalogue.segments.get(&key)?),
        EntityRef::Advertiser(key) => kept(&id, catalogue.advertisers.get(&key)?),
        EntityRef::Party(key) => party(app, &id, caller, catalogue.parties.get(&key)?),
        EntityRef::Campaign(key) => kept(&id, catalogue.campaigns.get(&key)?),
        EntityRef::AdSet(key) => kept(&id, catalogue.ad_sets.get(&key)?),
        EntityRef::Ad(key) => ad(&id, catalogue.ads.get(&key)?),
        EntityRef::Version(key) => version(app, &id, &catalogue.versions.get(&key)?),
    })
}

/// The publisher's settings.
pub fn publisher(catalogue: &Catalogue, caller: &Caller) -> Option<Value> {
    let kept_publisher = catalogue.publisher.as_ref()?;
    let mut json = kept("publisher", kept_publisher);
    if !caller.sees_everything() {
        let spec = &kept_publisher.spec;
        json["spec"] = json!({
            "name": spec.name, "zone": spec.zone, "auction_currency": spec.auction_currency,
            "political_location": spec.political_location, "page_keys": spec.page_keys,
        });
    }
    Some(json)
}

fn kept<T: Serialize>(id: &str, kept: &Kept<T>) -> Value {
    json!({
        "id": id, "revision": kept.revision, "status": kept.status,
        "created_at": kept.created_at, "changed_at": kept.changed_at, "spec": kept.spec,
    })
}

fn placement(id: &str, caller: &Caller, placement: &Kept<PlacementSpec>) -> Value {
    let mut json = kept(id, placement);
    if !caller.sees_everything() {
        let spec = &placement.spec;
        json["spec"] = json!({ "site": spec.site, "name": spec.name, "format": spec.format, "political": spec.political });
    }
    json
}

fn party(app: &App, id: &str, caller: &Caller, party: &Kept<SealedParty>) -> Value {
    let spec = &party.spec;
    let mut json = kept(id, party);
    json["spec"] = json!({
        "kind": spec.kind, "advertiser": spec.advertiser, "established_in": spec.established_in,
        "may_sponsor_before_votes": spec.may_sponsor_before_votes, "identity": identity(app, caller, spec),
    });
    json["political_gaps"] = json!(spec.political_gaps);
    json
}

/// A party's identity as a caller may see it: whole, only the name that readers see too, or that it was erased.
pub fn identity(app: &App, caller: &Caller, party: &SealedParty) -> Value {
    match app.platform.secrets.unseal(&party.identity) {
        Ok(Some(identity)) if caller.may_see_contacts() => json!(identity),
        Ok(Some(identity)) => json!({ "name": identity.name }),
        Ok(None) => json!({ "name": WITHHELD, "withheld": true }),
        Err(error) => {
            tracing::error!(%error, key = %party.identity.key, "a party's identity cannot be opened");
            json!({ "name": WITHHELD, "withheld": true })
        }
    }
}

fn ad(id: &str, state: &AdState) -> Value {
    let mut json = kept(id, &state.kept);
    json["review"] = json!(state.review);
    json["approved"] = json!(state.approved);
    json
}

fn version(app: &App, id: &str, state: &VersionState) -> Value {
    let mut json = kept(id, &state.kept);
    json["spec"] = version_spec(app, &state.kept.spec);
    json["creative_hash"] = json!(state.kept.spec.creative);
    json["shape"] = json!(state.kept.spec.shape);
    json["review"] = json!(state.review);
    json["approved"] =
        state.approved.as_ref().map_or(Value::Null, |(hash, shape)| approved_creative(app, hash, *shape));
    json
}

/// A version as it was sent, with its creative document.
pub fn version_spec(app: &App, record: &VersionRecord) -> Value {
    json!({
        "ad": record.ad, "name": record.name, "creative": creative(app, &record.creative),
        "weight": record.weight, "external_id": record.external_id,
    })
}
fn approved_creative(app: &App, hash: &ObjectHash, shape: Shape) -> Value {
    json!({ "creative_hash": hash, "shape": shape, "creative": creative(app, hash) })
}
fn creative(app: &App, hash: &ObjectHash) -> Value {
    app.creatives.get(&app.platform.objects, &hash.short()).map_or(Value::Null, |c| json!(*c))
}
