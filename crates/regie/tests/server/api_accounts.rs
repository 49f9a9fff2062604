//! Signing in and out, links, the second factor, users and tokens, on a real server.

use crate::common::{self, Client, Harness, Reply};
use regie::http::auth::{links, second_factor};
use regie_model::{UserId, booking::Role};
use serde_json::json;

const PASSWORD: &str = "correct horse battery";

/// A browser at our own pages.
fn browser(harness: &Harness) -> Client {
    harness.anonymous().with("origin", &harness.url)
}
fn path_of(link: &str) -> String {
    format!("/{}", link.splitn(4, '/').nth(3).unwrap())
}
/// Sets the first owner up and gives their session.
fn set_up(harness: &Harness) -> Client {
    let link = links::first_owner_link(&harness.app.platform, &harness.app.config).unwrap().unwrap();
    let path = path_of(&link);
    let page = browser(harness).get(&path).expect(200);
    assert!(
        page.text().contains("name=\"email\"") && page.header("referrer-policy").starts_with("same-origin")
    );
    let done = browser(harness)
        .form(&path, &[("email", "kim@example.org"), ("name", "Kim"), ("password", PASSWORD)]);
    signed_in(harness, &done.expect(303))
}
fn signed_in(harness: &Harness, reply: &Reply) -> Client {
    browser(harness).with("cookie", &reply.cookie().expect("a session cookie"))
}
fn sign_in(harness: &Harness, email: &str, password: &str, code: &str) -> Reply {
    browser(harness).form("/console/sign-in", &[("email", email), ("password", password), ("code", code)])
}
/// The CSRF token that a page of this session carries.
fn csrf(client: &Client) -> String {
    let page = client.get("/console/account").expect(200).text();
    page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[test]
fn the_first_owner_sets_up_once_and_signs_in() {
    let harness = Harness::start();
    let link = links::first_owner_link(&harness.app.platform, &harness.app.config).unwrap().unwrap();
    let path = path_of(&link);
    let short = browser(&harness)
        .form(&path, &[("email", "kim"), ("name", "Kim"), ("password", "short")])
        .expect(422);
    assert!(
        short.text().contains("At least 10 characters") && short.text().contains("e-mail address"),
        "{}",
        short.text()
    );
    browser(&harness).form(&path, &[("email", "kim@example.org"), ("password", PASSWORD)]).expect(303);
    browser(&harness).get(&path).expect(404);
    browser(&harness).form(&path, &[("email", "eve@example.org"), ("password", PASSWORD)]).expect(404);
    assert_eq!(links::first_owner_link(&harness.app.platform, &harness.app.config).unwrap(), None);
    let reply = sign_in(&harness, " Kim@Example.org ", PASSWORD, "").expect(303);
    assert_eq!(reply.header("location"), "/console");
    let set = reply.header("set-cookie");
    assert!(
        set.contains("HttpOnly")
            && set.contains("SameSite=Lax")
            && set.contains("Path=/")
            && !set.contains("Secure"),
        "{set}"
    );
    let client = signed_in(&harness, &reply);
    client.get("/v1/users").expect(200);
    let page = client.get("/console/account").expect(200);
    let policy = page.header("content-security-policy");
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    let inline = page.text().split("<script").skip(1).any(|rest| !rest.starts_with(" src=\"/static/"));
    assert!(!inline && !page.text().contains("style=") && !page.text().contains("<style"));
    // Out again: the cookie is worth nothing afterwards.
    let token = csrf(&client);
    client.form("/console/sign-out", &[("csrf", &token)]).expect(303);
    client.get("/v1/users").expect(401);
}

#[test]
fn cookies_are_secure_where_the_address_is() {
    let harness = Harness::with(|c| c.public_url = "https://ads.example.org".into());
    let link = links::first_owner_link(&harness.app.platform, &harness.app.config).unwrap().unwrap();
    let browser = harness.anonymous().with("origin", "https://ads.example.org");
    let reply =
        browser.form(&path_of(&link), &[("email", "kim@example.org"), ("password", PASSWORD)]).expect(303);
    assert!(reply.header("set-cookie").contains("; Secure"), "{}", reply.header("set-cookie"));
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_told_alike() {
    let harness = Harness::start();
    set_up(&harness);
    let wrong = sign_in(&harness, "kim@example.org", "not the password", "").expect(401);
    let unknown = sign_in(&harness, "eve@example.org", "not the password", "").expect(401);
    assert_eq!(wrong.text().replace("kim@", "eve@"), unknown.text());
    assert_eq!((wrong.cookie(), unknown.cookie()), (None, None));
    // Another site's page cannot sign a browser in.
    let cross = harness.anonymous().with("origin", "https://evil.example");
    cross.form("/console/sign-in", &[("email", "kim@example.org"), ("password", PASSWORD)]).expect(403);
    // Where to go next is only ever a page of the console.
    let go = |next: &str| {
        browser(&harness)
            .form("/console/sign-in", &[("email", "kim@example.org"), ("password", PASSWORD), ("next", next)])
    };
    assert_eq!(go("/console/account").expect(303).header("location"), "/console/account");
    assert_eq!(go("https://evil.example/").expect(303).header("location"), "/console");
}

#[test]
fn a_session_is_new_at_each_sign_in_and_ends_with_a_new_password() {
    let harness = Harness::start();
    let first = set_up(&harness);
    // A planted cookie is not taken over.
    let planted = "regie_session=1111111111111111111111111111111111111111111111111111111111111111";
    let reply = browser(&harness)
        .with("cookie", planted)
        .form("/console/sign-in", &[("email", "kim@example.org"), ("password", PASSWORD)]);
    assert_ne!(reply.expect(303).cookie().unwrap(), planted);
    // Signing in again on one browser ends the session it had.
    let again =
        first.form("/console/sign-in", &[("email", "kim@example.org"), ("password", PASSWORD)]).expect(303);
    first.get("/v1/users").expect(401);
    let (here, elsewhere) = (
        signed_in(&harness, &again),
        signed_in(&harness, &sign_in(&harness, "kim@example.org", PASSWORD, "")),
    );
    let token = csrf(&here);
    let change = |current: &str, new: &str| {
        here.form("/console/account/password", &[("csrf", &token), ("current", current), ("new", new)])
    };
    change("wrong", "another password").expect(422);
    change(PASSWORD, "short").expect(422);
    let done = change(PASSWORD, "another password").expect(303);
    elsewhere.get("/v1/users").expect(401);
    here.get("/v1/users").expect(401);
    signed_in(&harness, &done).get("/v1/users").expect(200);
    sign_in(&harness, "kim@example.org", PASSWORD, "").expect(401);
    sign_in(&harness, "kim@example.org", "another password", "").expect(303);
}

#[test]
fn guessing_is_slowed_by_account() {
    let harness = Harness::start();
    set_up(&harness);
    for _ in 0..10 {
        sign_in(&harness, "kim@example.org", "guess guess guess", "").expect(401);
    }
    let refused = sign_in(&harness, "kim@example.org", PASSWORD, "").expect(429);
    let wait: i64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=900).contains(&wait), "{wait}");
    assert_eq!(refused.cookie(), None);
}

#[test]
fn the_second_factor_is_asked_for_and_each_code_is_good_once() {
    let harness = Harness::start();
    let client = set_up(&harness);
    let secrets = &harness.app.platform.secrets;
    let token = csrf(&client);
    let page = client.form("/console/account/totp/begin", &[("csrf", &token)]).expect(200).text();
    let secret = secrets.user(UserId(1)).unwrap().unwrap().totp.unwrap();
    assert!(page.contains(&second_factor::base32(&secret)) && page.contains("otpauth://totp/"), "{page}");
    client.form("/console/account/totp/confirm", &[("csrf", &token), ("code", "000000")]).expect(422);
    assert!(!secrets.user(UserId(1)).unwrap().unwrap().totp_on);
    let code = |offset_steps: i64| {
        let seconds = harness.app.platform.now().0 / 1_000 + 30 * offset_steps;
        let totp = totp_rs::Builder::new().with_secret(secret.clone()).build().unwrap();
        totp.generate(seconds as u64).to_string()
    };
    let used = code(-1);
    client.form("/console/account/totp/confirm", &[("csrf", &token), ("code", &used)]).expect(200);
    assert!(secrets.user(UserId(1)).unwrap().unwrap().totp_on);
    sign_in(&harness, "kim@example.org", PASSWORD, "").expect(401);
    sign_in(&harness, "kim@example.org", PASSWORD, &used).expect(401);
    let fresh = code(0);
    sign_in(&harness, "kim@example.org", "wrong password", &fresh).expect(401);
    sign_in(&harness, "kim@example.org", PASSWORD, &fresh).expect(303);
    sign_in(&harness, "kim@example.org", PASSWORD, &fresh).expect(401);
    // A link resets the password, not the second factor.
    let link = links::make(&harness.app.platform, &harness.app.config, UserId(1), "reset").unwrap();
    let reply = browser(&harness).form(&path_of(&link), &[("password", "another password")]).expect(303);
    assert_eq!((reply.cookie(), reply.header("location")), (None, "/console/sign-in"));
    let next =
        signed_in(&harness, &sign_in(&harness, "kim@example.org", "another password", &code(1)).expect(303));
    let token = csrf(&next);
    next.form("/console/account/totp/off", &[("csrf", &token), ("password", "wrong")]).expect(422);
    next.form("/console/account/totp/off", &[("csrf", &token), ("password", "another password")]).expect(200);
    sign_in(&harness, "kim@example.org", "another password", "").expect(303);
}

#[test]
fn an_owner_adds_users_links_and_switches_them_off() {
    let harness = Harness::start();
    let owner = harness.owner();
    common::open_publisher(&owner);
    let shop = common::open_shop(&owner, "Bicycle Works");
    let refused = owner.post("/v1/users", json!({ "email": "sam", "role": "advertiser" })).faults();
    assert_eq!(refused, ["advertiser: missing", "email: malformed"]);
    let stray = json!({ "email": "sam@example.org", "role": "auditor", "advertiser": shop.advertiser });
    assert_eq!(owner.post("/v1/users", stray).faults(), ["advertiser: contradiction"]);
    let new = json!({ "email": "sam@example.org", "name": "Sam", "role": "advertiser", "advertiser": shop.advertiser });
    let made = owner.post("/v1/users", new.clone()).expect(201).json();
    assert_eq!((&made["password_set"], &made["mailed"]), (&json!(false), &json!(false)));
    assert_eq!(owner.post("/v1/users", new).faults(), ["email: taken"]);
    let reply = browser(&harness)
        .form(&path_of(made["link"].as_str().unwrap()), &[("password", PASSWORD)])
        .expect(303);
    let sam = signed_in(&harness, &reply);
    sam.get(&format!("/v1/campaigns/{}", shop.campaign)).expect(200);
    sam.get("/v1/users").expect(403);
    let path = format!("/v1/users/{}", made["id"].as_str().unwrap());
    // The last owner cannot be lost, nor a role be given without its advertiser.
    assert_eq!(owner.put("/v1/users/usr_1", json!({ "active": false })).faults(), ["role: last_owner"]);
    assert_eq!(owner.put("/v1/users/usr_1", json!({ "role": "read_only" })).faults(), ["role: last_owner"]);
    owner.put("/v1/users/usr_99", json!({ "active": false })).expect(404);
    owner.put(&path, json!({ "role": "read_only" })).expect(200);
    sam.get("/v1/campaigns").expect(200);
    sam.post("/v1/campaigns", json!({})).expect(403);
    let link = owner.post(&format!("{path}/link"), json!({})).expect(200).json();
    owner.put(&path, json!({ "active": false })).expect(200);
    sam.get("/v1/campaigns").expect(401);
    browser(&harness)
        .form(&path_of(link["link"].as_str().unwrap()), &[("password", "another password")])
        .expect(303);
    sign_in(&harness, "sam@example.org", "another password", "").expect(401);
    // Neither names nor passwords are in the journal.
    let text = owner.get("/v1/history?entity=usr_2").expect(200).text();
    assert!(text.contains("user_put") && !text.contains("sam@") && !text.contains("argon2"), "{text}");
}

#[test]
fn tokens_are_shown_once_and_can_be_revoked() {
    let harness = Harness::start();
    let owner = harness.owner();
    common::open_publisher(&owner);
    assert_eq!(owner.post("/v1/tokens", json!({})).faults(), ["name: missing", "scopes: missing"]);
    assert_eq!(
        owner.post("/v1/tokens", json!({ "name": "x", "scopes": [], "advertiser": "adv_9" })).faults(),
        ["advertiser: unknown", "scopes: missing"]
    );
    let made = owner.post("/v1/tokens", json!({ "name": "reports", "scopes": ["read"] })).expect(201).json();
    let client =
        harness.anonymous().with("authorization", &format!("Bearer {}", made["token"].as_str().unwrap()));
    client.get("/v1/campaigns").expect(200);
    client.post("/v1/campaigns", json!({})).expect(403);
    assert!(
        !owner.get("/v1/tokens").expect(200).text().contains("rgt_"),
        "the secret is kept as a hash only"
    );
    let path = format!("/v1/tokens/{}/revoke", made["id"].as_str().unwrap());
    owner.post(&path, json!({})).expect(200);
    client.get("/v1/campaigns").expect(401);
    owner.post("/v1/tokens/tok_9/revoke", json!({})).expect(404);
    let auditor = harness.user(Role::Auditor, None);
    auditor.get("/v1/tokens").expect(200);
    auditor.post("/v1/tokens", json!({ "name": "x", "scopes": ["read"] })).expect(403);
}

/// Runs the binary on the harness's folder: (success, standard output, standard error).
fn regie(harness: &Harness, arguments: &[&str], input: &str) -> (bool, String, String) {
    use std::io::Write;
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_regie"))
        .arg("--folder")
        .arg(harness.folder())
        .arg("--json")
        .args(arguments)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads nothing may have ended already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_command_line_resets_beside_a_running_server_and_books_when_it_is_stopped() {
    let mut harness = Harness::start();
    let session = set_up(&harness);
    let ok = |harness: &Harness, arguments: &[&str], input: &str| -> serde_json::Value {
        let (success, out, err) = regie(harness, arguments, input);
        assert!(success, "{arguments:?}: {err}");
        serde_json::from_str(out.lines().last().unwrap_or("null")).unwrap()
    };
    harness.app.platform.flush(false).unwrap();
    assert_eq!(ok(&harness, &["user", "list"], "")["email"], "kim@example.org");
    ok(&harness, &["user", "reset", "kim@example.org"], "set by the operator\n");
    session.get("/v1/users").expect(401);
    sign_in(&harness, "kim@example.org", "set by the operator", "").expect(303);
    let link = ok(&harness, &["user", "link", "usr_1"], "")["link"].as_str().unwrap().to_owned();
    browser(&harness).get(&path_of(&link)).expect(200);
    let (success, _, err) = regie(&harness, &["user", "reset", "kim@example.org"], "short\n");
    assert!(!success && err.contains("At least 10 characters"), "{err}");
    let (success, _, err) = regie(&harness, &["user", "add", "sam@example.org", "--role", "auditor"], "");
    assert!(!success && err.contains("stop it first"), "{err}");
    harness.stop();
    let sam = ok(&harness, &["user", "add", "sam@example.org", "--role", "auditor"], "");
    assert_eq!(sam["id"], "usr_2");
    let (success, _, err) = regie(&harness, &["user", "add", "SAM@example.org", "--role", "auditor"], "");
    assert!(!success && err.contains("signs in with this"), "{err}");
    let (success, _, err) = regie(&harness, &["user", "disable", "kim@example.org"], "");
    assert!(!success && err.contains("last owner"), "{err}");
    let token = ok(&harness, &["token", "create", "reports", "--scope", "read"], "");
    let worthless = ok(&harness, &["token", "create", "gone", "--scope", "read"], "");
    ok(&harness, &["token", "revoke", "tok_2"], "");
    let harness = harness.restart();
    let path = path_of(sam["link"].as_str().unwrap());
    let client = signed_in(&harness, &browser(&harness).form(&path, &[("password", PASSWORD)]).expect(303));
    client.get("/v1/users").expect(200);
    let bearer = |made: &serde_json::Value| format!("Bearer {}", made["token"].as_str().unwrap());
    harness.anonymous().with("authorization", &bearer(&token)).get("/v1/campaigns").expect(200);
    harness.anonymous().with("authorization", &bearer(&worthless)).get("/v1/campaigns").expect(401);
}
