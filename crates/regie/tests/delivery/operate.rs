//! Running it: a full disk, trusted proxies, TLS, a restored folder's caution, metrics, health.

use crate::{
    common::*,
    count::counts,
    scene::{Booking, Scene, problem},
};
use regie_model::booking::Scope;
use serde_json::json;
use std::{
    io::Write,
    process::{Command, Stdio},
};

#[test]
fn on_a_nearly_full_disk_only_house_ads_are_shown_from_the_start() {
    let folder = {
        let scene = Scene::start();
        scene.book(&Booking::cpm("Paid", 2_000_000));
        scene.book(&Booking::house("House"));
        let ticket = scene.ticket();
        (scene, ticket)
    };
    let (scene, before) = folder;
    let (site, placement) = (scene.site.clone(), scene.placement.clone());
    let harness = scene.harness.restart_with(|config| config.disk_free_bytes_min = 1 << 60);
    let owner = harness.owner();
    let scene = Scene { harness, owner, site, placement };
    let ready = scene.harness.anonymous().get("/ready").expect(503).json();
    assert_eq!(ready["ready"], false);
    assert!(ready["why_not"].to_string().contains("disk"), "{ready}");
    scene.harness.anonymous().get("/health").expect(200);
    for _ in 0..20 {
        let slot = scene.ask(json!({}));
        assert_eq!(slot["ad"]["label"]["payer"], "paid for by House", "{slot}");
    }
    // What was handed out before is still taken, if the disk takes it.
    assert!(scene.report(&[("impression", &before)]).status < 500);
    let metrics = scene.harness.token(&[Scope::Metrics], None).get("/metrics").expect(200).text();
    assert!(metrics.contains("\nregie_paid_stopped 1"), "{metrics}");
}

#[test]
fn a_server_with_room_is_ready_and_says_how_it_is() {
    let scene = Scene::start();
    let shop = scene.book(&Booking::cpm("Paid", 2_000_000));
    assert_eq!(
        scene.harness.anonymous().get("/ready").expect(200).json(),
        json!({ "ready": true, "why_not": [], "record_waiting_ads": 0 })
    );
    scene.ticket();
    problem(&scene.harness.anonymous().get("/metrics"), 401);
    let metrics = scene.harness.token(&[Scope::Metrics], None).get("/metrics").expect(200).text();
    for line in [
        "regie_decisions_total 1",
        "regie_fills_total 1",
        "regie_paid_stopped 0",
        "regie_record_waiting_ads 0",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line} in {metrics}");
    }
    assert!(!metrics.contains("Paid") && !metrics.contains("@"), "no names");
    assert_eq!(counts(&scene.of(&shop.ad_set))[0], 0);
}

#[test]
fn the_switch_spares_house_ads_and_tickets_already_out() {
    let scene = Scene::start();
    let paid = scene.book(&Booking::cpm("Paid", 2_000_000));
    let house = scene.book(&Booking::house("House"));
    let ticket = scene.ticket();
    let price = scene.open(&ticket).price_nanos;
    scene
        .owner
        .post("/v1/stops", json!({ "what": { "kind": "all_paid" }, "on": true, "reason": "Drill." }))
        .expect(200);
    // From the answer on, not one more.
    assert_eq!(scene.shown(json!({})), Some(house.ad_set));
    scene.report(&[("impression", &ticket)]).expect(200);
    assert_eq!(counts(&scene.of(&paid.ad_set)), [1, 0, 0, 0, price], "what was shown is owed");
    assert_eq!(
        scene.harness.anonymous().get("/ready").expect(200).json()["ready"],
        true,
        "a switch is no fault"
    );
    scene.owner.post("/v1/stops", json!({ "what": { "kind": "all_paid" }, "on": false })).expect(200);
    scene.within(1_000, "the start", || scene.shown(json!({})) == Some(paid.ad_set.clone()));
}

#[test]
fn tls_is_served_from_certificate_files() {
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = (dir.path().join("certificate.pem"), dir.path().join("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stderr(Stdio::null())
        .status();
    if !made.is_ok_and(|status| status.success()) {
        println!("SKIP tls_is_served_from_certificate_files: there is no openssl command");
        return;
    }
    let harness = Harness::with(|config| {
        (config.tls_certificate, config.tls_key) = (Some(certificate.clone()), Some(key));
        config.public_url = "https://localhost:0".into();
    });
    let mut client = Command::new("openssl")
        .args([
            "s_client",
            "-quiet",
            "-no_ign_eof",
            "-verify_return_error",
            "-servername",
            "localhost",
            "-verify_hostname",
            "localhost",
        ])
        .arg("-CAfile")
        .arg(&certificate)
        .args(["-connect", harness.url.trim_start_matches("http://")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = client.stdin.take().unwrap();
    input.write_all(b"GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut client.stdout.take().unwrap(), &mut answer).unwrap();
    drop(input);
    client.wait().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"ready\":true"), "{answer}");
    // Plain text on the same port is no way in, and does no harm.
    let mut plain = std::net::TcpStream::connect(harness.url.trim_start_matches("http://")).unwrap();
    plain.write_all(b"GET /ready HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = std::io::Read::read_to_end(&mut plain, &mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}

#[test]
fn a_start_takes_up_what_was_booked_behind_the_image_of_the_catalogue() {
    let scene = Scene::start();
    let first = scene.book(&Booking::cpm("Early", 2_000_000));
    assert!(scene.report(&[("impression", &scene.ticket())]).status < 300);
    let (site, placement, mut harness) = (scene.site, scene.placement, scene.harness);
    harness.stop();
    let image = harness.folder().join("catalogue.img");
    let older = std::fs::read(&image).unwrap();

    // Behind the image: an edit of what it has, something new, and the end of something.
    let harness = harness.restart();
    let owner = harness.owner();
    let scene = Scene { harness, owner, site: site.clone(), placement: placement.clone() };
    let second = scene.book(&Booking::cpm("Late", 3_000_000));
    let paused = json!({ "status": "paused" });
    scene.owner.post(&format!("/v1/ad-sets/{}/status", first.ad_set), paused).expect(200);
    scene.settle();
    assert_eq!(scene.ask(json!({}))["ad"]["label"]["payer"], "paid for by Late");
    let mut harness = scene.harness;
    harness.stop();
    assert_ne!(std::fs::read(&image).unwrap(), older, "a stop writes an image");

    // As after a crash before the next image, with the projections lost besides: the journal's tail has the rest.
    std::fs::write(&image, &older).unwrap();
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(harness.folder().join(format!("state.db{suffix}")));
    }
    let harness = harness.restart();
    let owner = harness.owner();
    let scene = Scene { harness, owner, site, placement };
    for _ in 0..5 {
        assert_eq!(scene.ask(json!({}))["ad"]["label"]["payer"], "paid for by Late");
    }
    // What lies in the image can be changed.
    let active = json!({ "status": "active" });
    scene.owner.post(&format!("/v1/ad-sets/{}/status", first.ad_set), active).expect(200);
    scene
        .owner
        .post(&format!("/v1/ad-sets/{}/status", second.ad_set), json!({ "status": "paused" }))
        .expect(200);
    scene.settle();
    assert_eq!(scene.ask(json!({}))["ad"]["label"]["payer"], "paid for by Early");
    let path = format!("/record/ads/{}/versions.json", first.ad);
    let history = || scene.harness.anonymous().get(&path).expect(200).text();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !history().contains("resumed") && std::time::Instant::now() < until {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let history = history();
    for event in ["approved", "paused", "resumed"] {
        assert!(history.contains(event), "{event}: its history is whole: {history}");
    }
}
