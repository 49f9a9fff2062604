//! Erasing a person (law J1): the event first, then the key; afterwards nobody can read the identity.

use crate::common::{self, Harness, create};
use regie_model::booking::Role;
use serde_json::json;

#[test]
fn an_erased_identity_is_gone_and_its_erasure_is_in_the_history() {
    let mut harness = Harness::start();
    let owner = harness.owner();
    common::open_publisher(&owner);
    let party = create(&owner, "/v1/parties", common::party("Alix Exemple"));
    assert!(owner.get(&format!("/v1/parties/{party}")).expect(200).text().contains("Alix Exemple"));
    let path = format!("/v1/parties/{party}/erase");
    harness.user(Role::AdOperations, None).post(&path, json!({ "reason": "asked" })).expect(403);
    owner.post(&path, json!({ "reason": "" })).expect(422);
    owner.post("/v1/parties/party_99/erase", json!({ "reason": "asked" })).expect(404);
    owner.post(&path, json!({ "reason": "The person asked for it." })).expect(200);
    let after = owner.get(&format!("/v1/parties/{party}")).expect(200).text();
    assert!(!after.contains("Alix"), "{after}");
    let history = owner.get("/v1/history").expect(200).text();
    assert!(history.contains("person_erased") && !history.contains("Alix"), "{history}");
    // Not in any file either: a restart folds the journal and finds no key.
    harness.stop();
    for name in ["state.db", "secrets.db"] {
        let bytes = std::fs::read(harness.folder().join(name)).expect("a file");
        assert!(!bytes.windows(4).any(|w| w == b"Alix"), "{name} holds the name");
    }
}
